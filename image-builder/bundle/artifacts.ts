// /profiles/artifacts.json: what a bundle of ours says of its own images. Read with distrust: the names end up in URLs
// and file names.

import { BundleError } from './bundle-error.ts';
import type { ArtifactPartition, Artifacts, IsoArtifact, QcowArtifact } from './model.ts';

const HEX: Record<'md5' | 'sha256' | 'sha512', RegExp> = {
  md5: /^[0-9a-f]{32}$/,
  sha256: /^[0-9a-f]{64}$/,
  sha512: /^[0-9a-f]{128}$/,
};
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const FILE_NAME = /^[A-Za-z0-9][\w.+-]*$/;

/** @throws BundleError INVALID_CONTENT naming the field */
export function parseArtifacts(json: string, where: string): Artifacts {
  let document: unknown;
  try {
    document = JSON.parse(json);
  } catch (cause) {
    throw new BundleError('INVALID_CONTENT', `/profiles/artifacts.json of ${where} is not JSON`, { cause });
  }
  const { qcows, iso } = object(document, '', where);
  const parsed: Artifacts['qcows'] = {};
  for (const [name, entry] of Object.entries(object(qcows ?? {}, 'qcows', where))) {
    const path = `qcows.${name}`;
    const fields = object(entry, path, where);
    const virtualSize = size(fields.virtualSize, `${path}.virtualSize`, where);
    const qcow: Artifacts['qcows'][string] = {
      file: fileName(fields.file, `${path}.file`, where),
      format: 'qcow2',
    };
    Object.assign(qcow, common(fields, path, where), virtualSize === undefined ? {} : { virtualSize });
    if (fields.partitions !== undefined) {
      qcow.partitions = partitions(fields.partitions, `${path}.partitions`, where);
    }
    if (fields.rootFSUUID !== undefined) {
      qcow.rootFSUUID = uuid(fields.rootFSUUID, `${path}.rootFSUUID`, where);
    }
    parsed[name] = qcow;
  }
  if (iso === undefined) return { qcows: parsed };
  const fields = object(iso, 'iso', where);
  const file = fileName(fields.file, 'iso.file', where);
  return {
    qcows: parsed,
    iso: { ...(common(fields, 'iso', where) as Omit<IsoArtifact, 'file' | 'format'>), file, format: 'iso' },
  };
}

/**
 * The hash in a `.md5sum` file: bare, as md5sum prints it (with a backslash before it when the name needs escapes), or as
 * `md5sum --tag` and BSD's md5 do: `MD5 (name) = hash`. Undefined when it is none.
 */
export function parseMd5sum(text: string): string | undefined {
  const line =
    text
      .replace(/^\ufeff/, '')
      .trim()
      .split(/[\r\n]/, 1)[0] ?? '';
  const tagged = /^\\?MD5 \(.*\) = (\w+)$/i.exec(line)?.[1];
  const hash = tagged ?? line.split(/\s/, 1)[0]?.replace(/^\\/, '') ?? '';
  return HEX.md5.test(hash.toLowerCase()) ? hash.toLowerCase() : undefined;
}

function common(fields: Record<string, unknown>, path: string, where: string): Partial<QcowArtifact> {
  const bytes = size(fields.size, `${path}.size`, where);
  const found: Partial<QcowArtifact> = bytes === undefined ? {} : { size: bytes };
  for (const name of ['md5', 'sha256', 'sha512'] as const) {
    const value = fields[name];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !HEX[name].test(value))
      throw invalid(`${path}.${name}`, `is not a hexadecimal ${name}`, where);
    found[name] = value;
  }
  return found;
}

function size(value: unknown, path: string, where: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw invalid(path, 'must be a non-negative integer', where);
  return value;
}

function partitions(value: unknown, path: string, where: string): ArtifactPartition[] {
  if (!Array.isArray(value)) throw invalid(path, 'must be a list', where);
  return value.map((item, index) => {
    const at = `${path}[${index}]`;
    const { number, start, size: bytes, filesystem, mount } = object(item, at, where);
    return {
      number: size(number ?? null, `${at}.number`, where) ?? 0,
      start: size(start ?? null, `${at}.start`, where) ?? 0,
      size: size(bytes ?? null, `${at}.size`, where) ?? 0,
      ...(filesystem !== undefined && { filesystem: text(filesystem, `${at}.filesystem`, where) }),
      ...(mount !== undefined && { mount: text(mount, `${at}.mount`, where) }),
    };
  });
}

function uuid(value: unknown, path: string, where: string): string {
  if (typeof value !== 'string' || !UUID.test(value)) throw invalid(path, 'is not a UUID', where);
  return value;
}

function text(value: unknown, path: string, where: string): string {
  if (typeof value !== 'string') throw invalid(path, 'must be text', where);
  return value;
}

function fileName(value: unknown, path: string, where: string): string {
  if (typeof value !== 'string' || !FILE_NAME.test(value))
    throw invalid(path, 'is not a plain file name', where);
  return value;
}

function object(value: unknown, path: string, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw invalid(path || 'it', 'must be an object', where);
}

function invalid(path: string, problem: string, where: string): BundleError {
  return new BundleError('INVALID_CONTENT', `/profiles/artifacts.json of ${where}: ${path} ${problem}`);
}
