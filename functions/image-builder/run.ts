// One run of the function: text in, text, findings and exit status out. No streams and no process in here.
import { type Finding, findingsOf, InvalidInputError } from '../../image-builder/diagnostics/error.ts';
import type { FunctionContext, Handler } from './handler.ts';
import { type FunctionConfig, ResourceList } from './resource-list.ts';

/** What a run gives. */
export interface RunResult {
  list: ResourceList;
  findings: Finding[];
  /** Whether there is no finding of severity error. */
  ok: boolean;
}

/** Handlers by kind, each loaded when it is needed: the cold start of one does not pay for the others. */
const HANDLERS: Record<string, () => Promise<Handler>> = {
  ConfigMap: async () => (await import('./handlers/config-map.ts')).handleConfigMap,
  ImageBuilder: async () => {
    const { imageBuilderHandler } = await import('./handlers/image-builder.ts');
    const { localEngine } = await import('./engine.ts');
    return imageBuilderHandler(localEngine);
  },
};

/**
 * Runs the function on the text of a ResourceList. Never throws: whatever happens becomes findings, and the list that
 * came in goes out, for a caller deletes what is missing.
 */
export async function runOnResourceList(
  text: string,
  context: Omit<FunctionContext, 'readItems'>,
): Promise<RunResult> {
  let list: ResourceList;
  let config: FunctionConfig | undefined;
  try {
    list = ResourceList.parse(text);
    config = list.functionConfig;
  } catch (error) {
    const findings = findingsOf(error);
    list = ResourceList.empty();
    list.report(findings);
    return { list, findings, ok: false };
  }
  return runOnList(list, config, context);
}

/** Runs the function on a list that was read already. Never throws. */
export async function runOnList(
  list: ResourceList,
  config: FunctionConfig | undefined,
  context: Omit<FunctionContext, 'readItems'>,
): Promise<RunResult> {
  const findings: Finding[] = [];
  try {
    const handler = await handlerOf(config);
    const result = await handler(config as FunctionConfig, { ...context, readItems: () => list.readItems() });
    findings.push(...result.findings);
    for (const object of result.objects) list.upsert(object);
  } catch (error) {
    findings.push(...findingsOf(error));
  }
  list.report(findings, config);
  return { list, findings, ok: findings.every(({ severity }) => severity !== 'error') };
}

async function handlerOf(config: FunctionConfig | undefined): Promise<Handler> {
  const kinds = Object.keys(HANDLERS).join(', ');
  if (config === undefined)
    throw invalid('functionConfig', `is missing, expected an object of kind ${kinds}`);
  const load = Object.hasOwn(HANDLERS, config.kind) ? HANDLERS[config.kind] : undefined;
  if (load === undefined) {
    throw invalid('kind', `is ${config.kind || 'missing'}, expected one of ${kinds}`);
  }
  return load();
}

function invalid(field: string, message: string): InvalidInputError {
  return new InvalidInputError([{ severity: 'error', field, message }]);
}
