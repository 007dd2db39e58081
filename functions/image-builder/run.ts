// One run of the function: text in, text and findings out. No streams and no process in here.
import {
  describeFinding,
  type Finding,
  findingsOf,
  InvalidInputError,
  invalidInput,
} from '../../image-builder/base/diagnostics/error.ts';
import { printable } from '../../image-builder/base/diagnostics/printable.ts';
import { foreignValues } from './foreign-values.ts';
import type { FunctionContext, Handler } from './handler.ts';
import { fileOf } from './items.ts';
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
 * deletes what is missing; but see {@link SECRET_ITEMS}.
 */
export async function runOnQuestion(
  question: Question,
  context: RunContext,
  handlers: Handlers,
): Promise<{ output: string; findings: Finding[]; lines: string[] }> {
  const { list, config } = question;
  const found = question.findings ?? (await runOnList(list, config, context, handlers));
  const findings = found.map((finding) => withFile(finding, config));
  list.report(findings, config);
  try {
    return { output: list.toString(), findings, lines: linesOf(findings, config) };
  } catch (error) {
    const all = [...findings, ...findingsOf(error)];
    const empty = ResourceList.empty();
    empty.report(all, config);
    return { output: empty.toString(), findings: all, lines: linesOf(all, config) };
  }
}

/** What people see: everything except mere information, with the object it concerns. */
export function linesOf(findings: readonly Finding[], config: FunctionConfig | undefined): string[] {
  const object = printable([config?.kind, config?.name].filter(Boolean).join('/'));
  return findings
    .filter(({ severity }) => severity !== 'info')
    .map((finding) => [finding.severity, object, describeFinding(finding)].filter(Boolean).join(': '));
}

/**
 * Kinds whose items are secrets that nobody but the function needs. airshipctl prints what comes back; kustomize and kpt
 * keep account of their items and would delete them.
 */
const SECRET_ITEMS = ['IsoConfiguration'];

/** Puts what the handler makes into the list, and returns what it has found. Never throws. */
export async function runOnList(
  list: ResourceList,
  config: FunctionConfig | undefined,
  context: RunContext,
  handlers: Handlers,
): Promise<Finding[]> {
  try {
    if (config === undefined)
      throw invalidInput('functionConfig', `is missing, expected an object of kind ${kinds(handlers)}`);
    const foreign = foreignValues(config.value);
    if (foreign.length > 0) throw new InvalidInputError(foreign);
    const handler = await handlerOf(config, handlers);
    const result = await handler(config, { ...context, readItems: () => list.readItems() });
    for (const object of result.objects) list.upsert(object);
    return result.findings;
  } catch (error) {
    return findingsOf(error);
  } finally {
    if (SECRET_ITEMS.includes(config?.kind ?? '') && !list.isAccountedFor) list.clear();
  }
}

/** A finding about a field of the object, with the object's file where the caller has noted it. */
function withFile(finding: Finding, config: FunctionConfig | undefined): Finding {
  const file = finding.field === undefined ? undefined : fileOf(config?.value.metadata);
  return file === undefined ? finding : { file, ...finding };
}

function handlerOf(config: FunctionConfig, handlers: Handlers): Promise<Handler> {
  const { kind } = config;
  const load = handlers[Object.hasOwn(handlers, kind) ? kind : asksForProfile(config) ? 'ConfigMap' : ''];
  if (load === undefined) {
    throw invalidInput('kind', `is ${kind || 'missing'}, expected one of ${kinds(handlers)}`);
  }
  return load();
}

/** The predecessor's function took objects of any kind, or of none, that say which profile they want. */
export function asksForProfile({ value: { data } }: FunctionConfig): boolean {
  return typeof data === 'object' && data !== null && Object.hasOwn(data, 'configPath');
}

function kinds(handlers: Handlers): string {
  return Object.keys(handlers).join(', ');
}
