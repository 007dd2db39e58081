// The cloud-init data of the ISO: from the spec or from the manifests, in YAML or JSON.
import { createHash } from 'node:crypto';
import { type Finding, InvalidInputError, invalidInput } from '../../base/diagnostics/error.ts';
import { emitDocuments } from '../../base/yaml/emit.ts';
import { jsonText } from '../../base/yaml/json.ts';
import { readDocuments } from '../../base/yaml/read-documents.ts';
import type { BuildSpec } from '../api/types.ts';
import { cloudConfigProblems } from './cloud-config.ts';
import { type Manifests, readManifest } from './manifests.ts';
import type { ResolvedBuild } from './resolved.ts';

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
    report(field, `is missing; give it here or as iso/${manifest} of the manifests`);
    return undefined;
  };
  const report = (field: string, message: string) =>
    findings.push({ severity: 'error', field: `spec.build.iso.${field}`, message });
  const toJson = (field: string, data: Data): string => {
    if (typeof data !== 'string') return `${jsonText(data)}\n`;
    const { text, problems } = jsonOf(data);
    for (const problem of problems) report(field, problem);
    return text;
  };
  const userData = await source('userData', iso.userData, 'user_data');
  const networkData = await source('networkData', iso.networkData, 'network_data.json');
  const metaData = iso.metaData ??
    (await readManifest(manifests, 'iso/meta_data.json')) ?? { uuid: uuidOf(name), hostname: 'ephemeral' };
  const resolved = {
    outputFileName: iso.outputFileName ?? 'ephemeral.iso',
    // Text that readers of YAML 1.1, as cloud-init is one, and of 1.2 take for the same.
    userData: typeof userData === 'object' ? `#cloud-config\n${emitDocuments([userData])}` : (userData ?? ''),
    networkData: networkData === undefined ? '' : toJson('networkData', networkData),
    metaData: toJson('metaData', metaData),
  };
  for (const problem of cloudConfigProblems(resolved.userData)) report('userData', problem);
  if (findings.length > 0) throw new InvalidInputError(findings);
  return resolved;
}

/**
 * An ISO boots by live-boot, which a list of packages of one's own may lack.
 * @throws InvalidInputError when no package and no script has to do with it
 */
export function requireLiveBoot({ multistrap, osconfig, scripts }: ResolvedBuild['rootfs']): void {
  const packages = [...multistrap.packages, ...multistrap.repos.flatMap((repository) => repository.packages)];
  const contents = [
    ...scripts.map(({ content }) => content),
    ...osconfig.user_scripts.map((script) => script.file_content),
  ];
  // Packages of other names may depend on it, but those of a live system are called live-*.
  if (
    packages.some((name) => name.startsWith('live-')) ||
    contents.some((text) => text.includes('live-boot'))
  )
    return;
  const message =
    'needs live-boot to boot, which is not among the packages; add it to spec.build.rootfs.multistrap.packages_append';
  throw invalidInput('spec.build.iso', message);
}

/** JSON as it is, or made of YAML; tabs are indentation in files that people have written, and YAML forbids those. */
function jsonOf(text: string): { text: string; problems: string[] } {
  if (isJsonObject(text)) return { text: text.endsWith('\n') ? text : `${text}\n`, problems: [] };
  const { values, problems } = readDocuments(
    text.replace(/^[ \t]+/gm, (indent) => indent.replace(/\t/g, '  ')),
  );
  if (problems.length > 0) return { text: '', problems };
  const [value] = values;
  if (values.length !== 1 || typeof value !== 'object') {
    return { text: '', problems: ['is neither a JSON nor a YAML object'] };
  }
  return { text: `${jsonText(value)}\n`, problems };
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

/** A UUID that the same name always gets (RFC 9562, version 8). */
function uuidOf(name: string): string {
  const hex = createHash('sha256').update(`image-builder iso ${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
