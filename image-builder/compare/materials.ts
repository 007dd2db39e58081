// What differs between the bills of materials of two bundles. Pure.
import { isRecord, recordsIn } from '../base/record.ts';
import { parseDocument } from '../scan/fields.ts';

/** Something on a disk that its bill of materials lists. */
export interface MaterialChange {
  kind: 'licence' | 'file' | 'download' | 'script' | 'container image';
  /** Of a licence: the package that has it. */
  name: string;
  /** Licence or digest. */
  before?: string;
  after?: string;
}

/** What a bundle's disks consist of, by kind and name; disks of one bundle share most of it. */
export type Materials = ReadonlyMap<string, { kind: MaterialChange['kind']; name: string; value: string }>;

const KINDS: [string, MaterialChange['kind']][] = [
  ['SPDXRef-Package-', 'licence'],
  ['SPDXRef-Download-', 'download'],
  ['SPDXRef-Script-', 'script'],
  ['SPDXRef-Image-', 'container image'],
  ['SPDXRef-LargeFile-', 'file'],
];

/**
 * @param documents SPDX as JSON text; what is malformed in one lists nothing
 * @throws ScanError for what is no JSON
 */
export function materialsOf(documents: readonly { disk: string; content: Buffer }[]): Materials {
  const materials = new Map<string, { kind: MaterialChange['kind']; name: string; value: string }>();
  for (const { disk, content } of documents) {
    const document = parseDocument(content, `the bill of materials of ${disk}`);
    const { packages, files } = isRecord(document) ? document : {};
    const add = (kind: MaterialChange['kind'], name: unknown, value: unknown) => {
      if (typeof name !== 'string' || typeof value !== 'string') return;
      // What another disk has otherwise stands under the name of this one.
      const known = materials.get(`${kind} ${name}`);
      const own = known && known.value !== value ? `${disk}: ${name}` : name;
      materials.set(`${kind} ${own}`, { kind, name: own, value });
    };
    for (const one of recordsIn(packages)) {
      const kind = KINDS.find(([prefix]) => String(one.SPDXID).startsWith(prefix))?.[1];
      if (kind === 'licence') add(kind, one.name, one.licenseDeclared);
      else if (kind === 'container image') add(kind, one.name, one.versionInfo);
      // As other files are named: a file may have grown to a large one.
      else if (kind === 'file') add(kind, `.${one.name}`, digestOf(one));
      else if (kind) add(kind, one.name, digestOf(one));
    }
    for (const one of recordsIn(files)) add('file', one.fileName, digestOf(one));
  }
  return materials;
}

/** The materials that only one side has, or that have another value on each side. */
export function compareMaterials(a: Materials, b: Materials): MaterialChange[] {
  return [...new Set([...a.keys(), ...b.keys()])].sort().flatMap((key): MaterialChange[] => {
    const [before, after] = [a.get(key), b.get(key)];
    const found = before ?? after;
    if (!found || before?.value === after?.value) return [];
    const { kind, name } = found;
    // A package that came or went is told as such.
    if (kind === 'licence' && !(before && after)) return [];
    return [{ kind, name, ...(before && { before: before.value }), ...(after && { after: after.value }) }];
  });
}

function digestOf({ checksums }: Record<string, unknown>): unknown {
  const sum = recordsIn(checksums).find(({ algorithm }) => algorithm === 'SHA256');
  return typeof sum?.checksumValue === 'string' ? `sha256:${sum.checksumValue}` : undefined;
}
