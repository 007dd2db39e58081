// The cloud-init data of the ISO: from the spec or from the manifests, in YAML or JSON.
import { createHash } from 'node:crypto';
import { parse, stringify } from 'yaml';
import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import type { BuildSpec } from '../spec/types.ts';
import { type Manifests, readManifest } from './manifests.ts';
import type { ResolvedBuild } from './types.ts';

type Data = string | Record<string, unknown>;

/** @throws InvalidInputError when user or network data are missing or unreadable. */
export async function resolveIso(
  iso: NonNullable<BuildSpec['iso']>,
  manifests: Manifests,
  name: string,
): Promise<NonNullable<ResolvedBuild['iso']>> {
  const findings: Finding[] = [];
  const source = async (
    field: string,
    given: Data | undefined,
    manifest: string,
  ): Promise<Data | undefined> => {
    const data = given ?? (await readManifest(manifests, `iso/${manifest}`));
    if (data !== undefined) return data;
    const message = `is missing; give it here or as iso/${manifest} of the manifests`;
    findings.push({ severity: 'error', field: `spec.build.iso.${field}`, message });
    return undefined;
  };
  const toJson = (field: string, data: Data): string => {
    try {
      return `${JSON.stringify(typeof data === 'string' ? parseData(data) : data, null, 2)}\n`;
    } catch (error) {
      findings.push({
        severity: 'error',
        field: `spec.build.iso.${field}`,
        message: (error as Error).message,
      });
      return '';
    }
  };
  const userData = await source('userData', iso.userData, 'user_data');
  const networkData = await source('networkData', iso.networkData, 'network_data.json');
  const metaData = iso.metaData ??
    (await readManifest(manifests, 'iso/meta_data.json')) ?? { uuid: uuidOf(name), hostname: 'ephemeral' };
  const resolved = {
    outputFileName: iso.outputFileName ?? 'ephemeral.iso',
    userData: typeof userData === 'object' ? `#cloud-config\n${stringify(userData)}` : (userData ?? ''),
    networkData: networkData === undefined ? '' : toJson('networkData', networkData),
    metaData: toJson('metaData', metaData),
  };
  if (findings.length > 0) throw new InvalidInputError(findings);
  return resolved;
}

/** JSON, or YAML; tabs are indentation in files that people have written, and YAML forbids those. */
function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const data: unknown = parse(text.replace(/^[ \t]+/gm, (indent) => indent.replace(/\t/g, '  ')));
    if (typeof data !== 'object' || data === null) throw new Error('is neither a JSON nor a YAML object');
    return data;
  }
}

/** A UUID that the same name always gets (RFC 9562, version 8). */
function uuidOf(name: string): string {
  const hex = createHash('sha256').update(`image-builder iso ${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
