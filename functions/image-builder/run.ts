// One run of the function: text in, text and findings out. No streams and no process in here.
import { type Finding, findingsOf, InvalidInputError } from '../../image-builder/diagnostics/error.ts';
import type { FunctionContext, Handler } from './handler.ts';
import { type FunctionConfig, ResourceList } from './resource-list.ts';

/** What a run depends on besides its input. */
export type RunContext = Omit<FunctionContext, 'readItems'>;

/** Handlers by the kind of functionConfig. */
export type Handlers = Readonly<Record<string, () => Promise<Handler>>>;

/** The input of a run. */
export interface Question {
  /** Without items when the input could not be read. */
  list: ResourceList;
  config?: FunctionConfig | undefined;
  /** Why the input could not be read. */
  findings?: Finding[];
}

/** Reads the text of a ResourceList; never throws, the answer has to say what is wrong. */
export function readQuestion(text: string): Question {
  try {
    const list = ResourceList.parse(text);
    return { list, config: list.functionConfig };
  } catch (error) {
    return { list: ResourceList.empty(), findings: findingsOf(error) };
  }
}

/**
 * Runs the function. Never throws: whatever happens becomes findings, and the list that came in goes out, for a caller
 * deletes what is missing.
 */
export async function runOnQuestion(
  question: Question,
  context: RunContext,
  handlers: Handlers,
): Promise<{ output: string; findings: Finding[] }> {
  const { list, config } = question;
  const findings = question.findings ?? (await runOnList(list, config, context, handlers));
  list.report(findings, config);
  return { output: list.toString(), findings };
}

/** Puts what the handler makes into the list, and returns what it has found. Never throws. */
export async function runOnList(
  list: ResourceList,
  config: FunctionConfig | undefined,
  context: RunContext,
  handlers: Handlers,
): Promise<Finding[]> {
  try {
    if (config === undefined)
      throw invalid('functionConfig', `is missing, expected an object of kind ${kinds(handlers)}`);
    const handler = await handlerOf(config, handlers);
    const result = await handler(config, { ...context, readItems: () => list.readItems() });
    for (const object of result.objects) list.upsert(object);
    return result.findings;
  } catch (error) {
    return findingsOf(error);
  }
}

function handlerOf({ kind }: FunctionConfig, handlers: Handlers): Promise<Handler> {
  const load = Object.hasOwn(handlers, kind) ? handlers[kind] : undefined;
  if (load === undefined) {
    throw invalid('kind', `is ${kind || 'missing'}, expected one of ${kinds(handlers)}`);
  }
  return load();
}

function kinds(handlers: Handlers): string {
  return Object.keys(handlers).join(', ');
}

function invalid(field: string, message: string): InvalidInputError {
  return new InvalidInputError([{ severity: 'error', field, message }]);
}
