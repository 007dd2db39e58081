// Standalone runs: the functionConfig and the items come from files, as the source that a person edits, so errors show
// the line; the answer is the bare items, as legacy kustomize plugins answer too.
import { readFile } from 'node:fs/promises';
import { isMap, LineCounter, parseAllDocuments } from 'yaml';
import { type Finding, formatFinding, InvalidInputError } from '../../image-builder/diagnostics/error.ts';
import { excerpt } from '../../image-builder/yaml/excerpt.ts';
import { readValue } from '../../image-builder/yaml/values.ts';
import type { Answer } from './answer.ts';
import { functionConfigOf, ResourceList } from './resource-list.ts';
import { type Handlers, type RunContext, runOnList } from './run.ts';

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
  const documents = parseAllDocuments(source, { schema: 'failsafe', lineCounter });
  const [document] = documents;
  const problem = documents.flatMap(({ errors }) => errors)[0];
  if (problem) throw invalid(configPath, `not valid YAML: ${problem.message}`);
  if (documents.length !== 1 || !isMap(document?.contents)) {
    throw invalid(configPath, `holds ${documents.length} YAML documents, expected one object`);
  }
  const text = input ?? (inputPath === undefined ? '' : await readText(inputPath));
  const { list, wrapped } = readList(text, inputPath === '-' ? 'standard input' : (inputPath ?? ''));
  const config = functionConfigOf(readValue(document.contents, document) as Record<string, unknown>);
  const findings = await runOnList(list, config, context, handlers);
  list.report(findings, config);
  const lines = findings
    .filter(({ severity }) => severity !== 'info')
    .flatMap((finding) => {
      const lines = [formatFinding(finding.field ? { file: configPath, ...finding } : finding)];
      const shown =
        finding.field && excerpt({ source, document, lineCounter }, finding.field, finding.message);
      return shown ? [...lines, shown] : lines;
    });
  return { findings, lines, output: wrapped ? list.toString() : list.itemsToString() };
}

/** The items of the input; raw documents are wrapped into a list. */
function readList(text: string, name: string): { list: ResourceList; wrapped: boolean } {
  if (text.trim() === '') return { list: ResourceList.empty(), wrapped: false };
  const documents = parseAllDocuments(text, { schema: 'failsafe' });
  const problem = documents.flatMap(({ errors }) => errors)[0];
  if (problem) throw invalid(name, `not valid YAML: ${problem.message}`);
  const first: unknown = documents[0]?.contents;
  const kind = isMap(first) ? first.get('kind') : undefined;
  if (kind === 'ResourceList') return { list: ResourceList.parse(text), wrapped: true };
  const list = ResourceList.empty();
  for (const { contents } of documents) {
    if (contents === null || contents === undefined) continue;
    if (!isMap(contents)) throw invalid(name, 'holds a document that is not an object');
    list.add(contents);
  }
  return { list, wrapped: false };
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(path, `cannot be read: ${(error as Error).message}`);
  }
}

function invalid(file: string, message: string): InvalidInputError {
  const finding: Finding = { severity: 'error', message, file };
  return new InvalidInputError([finding]);
}
