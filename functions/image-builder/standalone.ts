// Standalone runs: the functionConfig and the items come from files, as the source that a person edits, so errors show
// the line; the answer is the bare items, as legacy kustomize plugins answer too.
import { readFile } from 'node:fs/promises';
import { type Document, isMap, LineCounter, parseAllDocuments } from 'yaml';
import { invalidInput } from '../../image-builder/base/diagnostics/error.ts';
import { printableLines } from '../../image-builder/base/diagnostics/printable.ts';
import { describeDangling } from '../../image-builder/base/yaml/aliases.ts';
import { isEmpty, PARSE_OPTIONS } from '../../image-builder/base/yaml/document.ts';
import { excerpt } from '../../image-builder/base/yaml/excerpt.ts';
import { readValue } from '../../image-builder/base/yaml/values.ts';
import type { Answer } from './answer.ts';
import { functionConfigOf, ResourceList } from './resource-list.ts';
import { type Handlers, linesOf, type RunContext, runOnList } from './run.ts';

/** What a standalone run is started with. */
export interface StandaloneInput {
  /** File of the functionConfig. */
  configPath: string;
  /** File of the items; `-` when they are in `input`. */
  inputPath?: string | undefined;
  /** The items as text: a ResourceList, or any number of YAML documents. */
  input?: string | undefined;
}

/** Runs the function on files. Errors of the functionConfig come with the line that they are about. */
export async function runStandalone(
  { configPath, inputPath, input }: StandaloneInput,
  context: RunContext,
  handlers: Handlers,
): Promise<Answer> {
  const source = await readText(configPath);
  const lineCounter = new LineCounter();
  const documents = parseDocuments(source, configPath, lineCounter);
  const [document] = documents;
  if (documents.length !== 1 || !isMap(document?.contents)) {
    throw invalidInput(
      { file: configPath },
      `contains ${documents.length} YAML documents, expected one object`,
    );
  }
  const text = input ?? (inputPath === undefined ? '' : await readText(inputPath));
  const { list, wrapped } = readList(text, inputPath === '-' ? 'standard input' : (inputPath ?? ''));
  const config = functionConfigOf(readValue(document.contents, document) as Record<string, unknown>);
  const findings = await runOnList(list, config, context, handlers);
  list.report(findings, config);
  const lines = findings.flatMap((finding) => {
    const told = linesOf([finding.field ? { file: configPath, ...finding } : finding], config);
    const shown = finding.field && excerpt({ source, document, lineCounter }, finding.field, finding.message);
    return shown && told.length > 0 ? [...told, printableLines(shown)] : told;
  });
  return { findings, lines, output: wrapped ? list.toString() : list.itemsToString() };
}

/** The items of the input; raw documents are wrapped into a list. */
function readList(text: string, name: string): { list: ResourceList; wrapped: boolean } {
  if (text.trim() === '') return { list: ResourceList.empty(), wrapped: false };
  const documents = parseDocuments(text, name);
  const first: unknown = documents[0]?.contents;
  const kind = isMap(first) ? first.get('kind') : undefined;
  if (kind === 'ResourceList') return { list: ResourceList.parse(text), wrapped: true };
  const list = ResourceList.empty();
  for (const { contents } of documents) {
    if (!isMap(contents)) throw invalidInput({ file: name }, 'contains a document that is not an object');
    list.add(contents);
  }
  return { list, wrapped: false };
}

/** The documents that hold something. */
function parseDocuments(text: string, file: string, lineCounter?: LineCounter): Document[] {
  const options = lineCounter ? { ...PARSE_OPTIONS, lineCounter } : PARSE_OPTIONS;
  const documents = parseAllDocuments(text, options) as Document[];
  for (const document of documents) {
    const problem = document.errors[0]?.message ?? describeDangling(document);
    if (problem) throw invalidInput({ file }, `is not valid YAML: ${problem}`);
  }
  return documents.filter((document) => !isEmpty(document));
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalidInput({ file: path }, `cannot be read: ${(error as Error).message}`);
  }
}
