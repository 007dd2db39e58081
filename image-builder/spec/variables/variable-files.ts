// Variable files: YAML on disk to layers that are as strictly checked as the ImageBuilder object itself.
import { type Finding, InvalidInputError } from '../../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath, parseFieldPath } from '../../base/diagnostics/field-path.ts';
import { findExcerpt } from '../../base/yaml/excerpt.ts';
import { readDocuments } from '../../base/yaml/read-documents.ts';
import { withNumbersAsWritten } from '../api/exact-numbers.ts';
import { type parseRendered, unknownFields } from '../api/validate.ts';
import type { Manifests } from './manifests.ts';
import { readManifest } from './manifests.ts';
import type { Layer } from './overrides.ts';

/** The variables of a manifest, or undefined when there is no such file. @throws InvalidInputError with line and column */
export async function readLayer(
  manifests: Manifests,
  name: string,
  field: FieldPath,
): Promise<Layer | undefined> {
  const text = await readManifest(manifests, name);
  if (text === undefined) return undefined;
  const file = manifests.files.get(name) ?? name;
  const documents = readDocuments(text);
  const problems = documents.problems.map((problem) => `not valid YAML: ${problem}`);
  if (documents.values.length > 1) {
    problems.push(
      `contains ${documents.values.length} YAML documents; put all variables into one, without ---`,
    );
  }
  const values = withNumbersAsWritten(documents.values[0] ?? {});
  if (problems.length === 0 && (typeof values !== 'object' || values === null || Array.isArray(values))) {
    problems.push('is not a map of variables');
  }
  if (problems.length > 0) {
    throw new InvalidInputError(
      problems.map((message) => ({ severity: 'error', message, field: formatFieldPath(field), file })),
    );
  }
  const [source] = documents.sources;
  return { values: values as Record<string, unknown>, field, file, ...(source && { source }) };
}

/** The finding as one of the layer's file. */
export function inFile(finding: Finding, { file, source, field }: Layer): Finding {
  if (file === undefined || finding.field === undefined) return finding;
  const own = formatFieldPath(parseFieldPath(finding.field).slice(field.length));
  const found = source && findExcerpt(source, own, finding.message);
  return { ...finding, file, ...(found && { line: found.line, excerpt: found.text }) };
}

/** Adds a finding about a value of a layer, by the path of the value in it. */
export type Report = (path: FieldPath, message: string) => void;

/** What adds findings about a layer, with the file and the line of each. */
export function reportTo(findings: Finding[], layer: Layer): Report {
  return (path, message) => {
    const field = formatFieldPath([...layer.field, ...path]);
    findings.push(inFile({ severity: 'error', message, field }, layer));
  };
}

/**
 * Checks a layer against the schema of its place in the ImageBuilder object.
 * @param parse what checks objects with rendered templates, or with some that are left.
 * @returns the findings, with the layer's file.
 */
export async function checkLayer(layer: Layer, parse: typeof parseRendered): Promise<Finding[]> {
  try {
    await parse(asObject(layer));
    return [];
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    return error.findings().map((finding) => inFile(finding, layer));
  }
}

/**
 * A layer without the variables of its author's own: those that nothing here knows, and that `referred` templates mention.
 * They are there for the templates only; in the object itself there are none.
 */
export async function withoutOwnVariables(layer: Layer, referred: ReadonlySet<string>): Promise<Layer> {
  if (layer.file === undefined) return layer;
  const own = (await unknownFields(asObject(layer)))
    .filter((path) => path.length === layer.field.length + 1)
    .map((path) => String(path.at(-1)))
    .filter((name) => referred.has(name));
  if (own.length === 0) return layer;
  const kept = Object.entries(layer.values).filter(([name]) => !own.includes(name));
  return { ...layer, values: Object.fromEntries(kept) };
}

/** An ImageBuilder object that has nothing but the layer, in its place. */
function asObject({ field, values }: Layer): unknown {
  const [, ...names] = field;
  return {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name: 'variables' },
    spec: names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), values),
  };
}
