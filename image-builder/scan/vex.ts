// What somebody says does not affect a disk: OpenVEX 0.2 (https://github.com/openvex/spec) and the VEX profile of CSAF 2.0
// (https://docs.oasis-open.org/csaf/csaf/v2.0/). Of several statements about the same the latest counts.
import { isRecord } from '../base/record.ts';
import { asMap, asText, firstLine, listOf, optionalMap, optionalText, parseDocument } from './fields.ts';
import { parseDebPackageUrl } from './packages.ts';
import { ScanError } from './scan-error.ts';
import type { DiskPackages, SourcePackage, Suppressed, Vulnerability } from './vulnerability.ts';

const STATUSES = ['not_affected', 'affected', 'fixed', 'under_investigation'] as const;
type Status = (typeof STATUSES)[number];

/** A statement of a document. */
export interface VexStatement {
  /** Names of the vulnerability. */
  ids: string[];
  /** Packages, by their URL; and disks or bundles, by a digest somewhere in the text. */
  products: { product: string; components: string[] }[];
  status: Status;
  reason: string;
  /** Milliseconds since the epoch; 0: it does not tell. */
  time: number;
}

type Fields = Record<string, unknown>;

/** @throws ScanError */
export function vexStatements(content: Uint8Array, where: string): VexStatement[] {
  const document = asMap(parseDocument(content, where), where);
  const context = document['@context'];
  if ([context].flat().some((one) => typeof one === 'string' && one.startsWith('https://openvex.dev/ns')))
    return openVex(document, where);
  const { category } = optionalMap(document.document, `${where}: document`);
  if (category === 'csaf_vex') return csaf(document, where);
  throw new ScanError(
    'SCAN_INPUT_INVALID',
    `${where} is neither OpenVEX nor a CSAF document of the category csaf_vex`,
  );
}

function openVex(document: Fields, where: string): VexStatement[] {
  return listOf(document.statements, `${where}: statements`, (value, place) => {
    const statement = asMap(value, place);
    const named = statement.vulnerability;
    // Until 0.0.2 it was a text.
    const vulnerability =
      typeof named === 'string' ? { name: named } : asMap(named, `${place}.vulnerability`);
    const ids = [
      optionalText(vulnerability.name, `${place}.vulnerability.name`),
      ...listOf(vulnerability.aliases, `${place}.vulnerability.aliases`, asText),
    ].filter((one) => one !== undefined);
    return {
      ids,
      products: listOf(statement.products, `${place}.products`, (product, at) => ({
        product: productText(product, at),
        components: listOf(
          isRecord(product) ? product.subcomponents : undefined,
          `${at}.subcomponents`,
          productText,
        ),
      })),
      status: statusOf(statement.status, `${place}.status`),
      reason: [statement.justification, firstLine(statement.impact_statement)].filter(Boolean).join(': '),
      time: timeOf(statement.timestamp ?? document.timestamp),
    };
  });
}

/** Everything that may identify it: its `@id`, its package URL, its digests. */
function productText(value: unknown, where: string): string {
  if (typeof value === 'string') return asText(value, where);
  const product = asMap(value, where);
  const identifiers = Object.values(optionalMap(product.identifiers, `${where}.identifiers`));
  const hashes = Object.values(optionalMap(product.hashes, `${where}.hashes`));
  return [product['@id'], ...identifiers, ...hashes].filter((one) => typeof one === 'string').join(' ');
}

function statusOf(value: unknown, where: string): Status {
  const status = STATUSES.find((one) => one === value);
  if (status) return status;
  throw new ScanError('SCAN_INPUT_INVALID', `${where} is not one of ${STATUSES.join(', ')}`);
}

const timeOf = (value: unknown): number => (typeof value === 'string' ? Date.parse(value) || 0 : 0);

const CSAF_STATUSES: [string, Status][] = [
  ['known_affected', 'affected'],
  ['under_investigation', 'under_investigation'],
  ['known_not_affected', 'not_affected'],
  ['fixed', 'fixed'],
  ['first_fixed', 'fixed'],
];

function csaf(document: Fields, where: string): VexStatement[] {
  const urls = new Map<string, string>();
  collectProducts(optionalMap(document.product_tree, `${where}: product_tree`), urls, where);
  const { tracking } = optionalMap(document.document, `${where}: document`);
  const time = timeOf(optionalMap(tracking, `${where}: document.tracking`).current_release_date);
  return listOf(document.vulnerabilities, `${where}: vulnerabilities`, (value, place) => {
    const { cve, product_status, flags } = asMap(value, place);
    const id = optionalText(cve, `${place}.cve`);
    const statuses = optionalMap(product_status, `${place}.product_status`);
    const labels = listOf(flags, `${place}.flags`, asMap);
    return CSAF_STATUSES.flatMap(([field, status]): VexStatement[] => {
      const products = listOf(statuses[field], `${place}.product_status.${field}`, asText);
      if (products.length === 0 || id === undefined) return [];
      const label = labels.find(
        ({ product_ids: ids }) => Array.isArray(ids) && ids.includes(products[0]),
      )?.label;
      const named = products.map((product) => ({ product: urls.get(product) ?? product, components: [] }));
      return [{ ids: [id], products: named, status, reason: firstLine(label), time }];
    });
  }).flat();
}

/** Branches deeper than that are none. */
const DEEPEST = 30;

/** Package URLs by `product_id`; of a relationship that of the component in it. */
function collectProducts(tree: Fields, urls: Map<string, string>, where: string, depth = 0): void {
  if (depth > DEEPEST)
    throw new ScanError('SCAN_INPUT_INVALID', `${where}: product_tree is deeper than ${DEEPEST} branches`);
  const note = (product: Fields) => {
    const { purl } = optionalMap(
      product.product_identification_helper,
      `${where}: product_identification_helper`,
    );
    if (typeof product.product_id === 'string' && typeof purl === 'string')
      urls.set(product.product_id, purl);
  };
  listOf(tree.full_product_names, `${where}: full_product_names`, asMap).forEach(note);
  for (const branch of listOf(tree.branches, `${where}: branches`, asMap)) {
    if (isRecord(branch.product)) note(branch.product);
    collectProducts(branch, urls, where, depth + 1);
  }
  for (const { full_product_name: name, product_reference: reference } of listOf(
    tree.relationships,
    `${where}: relationships`,
    asMap,
  )) {
    const url = typeof reference === 'string' ? urls.get(reference) : undefined;
    if (isRecord(name) && typeof name.product_id === 'string' && url) urls.set(name.product_id, url);
  }
}

/** What identifies the disks of a scan. */
export interface VexTarget {
  /** Digest that the reference stands for. */
  digest: string;
  disks: readonly DiskPackages[];
}

/**
 * The statement that takes a vulnerability back on all disks that have it; the latest one about it says so.
 * @returns undefined when it counts
 */
export function suppressedBy(
  vulnerability: Vulnerability,
  statements: readonly VexStatement[],
  target: VexTarget,
): Suppressed | undefined {
  const names = new Set([vulnerability.id, ...vulnerability.aliases]);
  const about = statements.filter(({ ids }) => ids.some((id) => names.has(id)));
  const answers = vulnerability.disks.map((file) => {
    const disk = target.disks.find((one) => one.disk === file);
    const source = disk?.packages.find(
      ({ name, version }) => name === vulnerability.source && version === vulnerability.installed,
    );
    if (!disk || !source) return undefined;
    const binaries = answersFor(about, source, disk, target.digest);
    const statuses = new Set(binaries.map((one) => one?.status));
    const [first] = binaries;
    return first &&
      !statuses.has(undefined) &&
      !statuses.has('affected') &&
      !statuses.has('under_investigation')
      ? first
      : undefined;
  });
  const [first] = answers;
  if (!first || answers.includes(undefined)) return undefined;
  return {
    vulnerability,
    status: first.status as Suppressed['status'],
    reason: first.reason || 'no reason given',
  };
}

/** For each installed package of the source the latest statement. */
function answersFor(
  statements: readonly VexStatement[],
  source: SourcePackage,
  disk: DiskPackages,
  digest: string,
): (VexStatement | undefined)[] {
  return source.binaries.map((binary) => {
    const isNamed = (text: string): boolean => namesPackage(text, source, binary, disk.system.id);
    const isDisk = (text: string) =>
      [digest.replace(/^sha256:/, ''), disk.sha256].some(
        (hex) => hex !== undefined && text.toLowerCase().includes(hex),
      );
    const fitting = statements.filter(({ products }) =>
      products.some(({ product, components }) =>
        isDisk(product)
          ? components.length === 0 || components.some(isNamed)
          : components.length === 0 && isNamed(product),
      ),
    );
    return fitting.reduce<VexStatement | undefined>(
      (latest, one) => (latest === undefined || one.time >= latest.time ? one : latest),
      undefined,
    );
  });
}

/** A package URL of the installed package, or of its source (`arch=source`); what it leaves out fits. */
function namesPackage(
  text: string,
  source: SourcePackage,
  binary: SourcePackage['binaries'][number],
  system: string,
): boolean {
  return text.split(' ').some((one) => {
    const url = parseDebPackageUrl(one);
    if (!url || url.namespace !== system) return false;
    const architecture = url.qualifiers.get('arch');
    const fits = (name: string, version: string) =>
      url.name === name && (url.version === undefined || url.version === version);
    if (architecture === 'source') return fits(source.name, source.version);
    if (architecture !== undefined && architecture !== binary.architecture) return false;
    return (
      fits(binary.name, binary.version) || (architecture === undefined && fits(source.name, source.version))
    );
  });
}
