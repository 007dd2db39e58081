// `spec.items`: what the ImageBuilder objects among the items say, by one process for all of them.
import {
  findingsOf,
  ImageBuilderError,
  InvalidInputError,
  invalidInput,
} from '../../../image-builder/base/diagnostics/error.ts';
import { isRecord } from '../../../image-builder/base/record.ts';
import type { ImageBuilder } from '../../../image-builder/spec/api/types.ts';
import { parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';
import { eachAtOnce } from '../each-at-once.ts';
import { foreignValues } from '../foreign-values.ts';
import type { FunctionContext } from '../handler.ts';
import { fileOf } from '../items.ts';
import { parseLabelSelector } from '../label-selector.ts';
import { type FunctionConfig, functionConfigOf } from '../resource-list.ts';

/** Objects that only read are handled at the same time; those that build one after another, as kustomize would. */
const [READERS, BUILDERS] = [8, 1];

/** One of the items, valid. */
interface ParsedItem {
  config: FunctionConfig;
  object: ImageBuilder;
}

/**
 * What all objects give, in their order.
 * @param handle does what one object says
 * @throws InvalidInputError with the findings of all objects that have failed, each with its object; when one is not valid,
 * before anything is read or built
 */
export async function handleItems<Source>(
  { items, catalogue }: ImageBuilder['spec'],
  context: FunctionContext,
  handle: (item: ParsedItem) => Promise<Source[]>,
): Promise<Source[]> {
  const { signal } = context;
  const wanted = selected(items?.labelSelector, context.readItems());
  const parsed = await eachAtOnce(wanted, READERS, signal, (config) =>
    about(config, async () => ({ config, object: await parseItem(config, catalogue) })),
  );
  const handleEach = (objects: ParsedItem[], atOnce: number) =>
    eachAtOnce(objects, atOnce, signal, async (item) => ({
      item,
      sources: await about(item.config, () => handle(item)),
    }));
  const builds = ({ object }: ParsedItem) => object.spec.build !== undefined;
  const read = await handleEach(
    parsed.filter((item) => !builds(item)),
    READERS,
  );
  const built = await handleEach(parsed.filter(builds), BUILDERS);
  const sources = new Map([...read, ...built].map((done) => [done.item, done.sources]));
  return parsed.flatMap((item) => sources.get(item) ?? []);
}

function selected(labelSelector = '', items: readonly Record<string, unknown>[]): FunctionConfig[] {
  const field = 'spec.items.labelSelector';
  let matches: ReturnType<typeof parseLabelSelector>;
  try {
    matches = parseLabelSelector(labelSelector);
  } catch (error) {
    throw invalidInput(field, (error as Error).message, { cause: error });
  }
  const objects = items.filter(isImageBuilder);
  const wanted = objects.filter(({ metadata }) =>
    matches(isRecord(metadata) && isRecord(metadata.labels) ? metadata.labels : {}),
  );
  if (wanted.length > 0) return wanted.map(functionConfigOf);
  if (objects.length > 0)
    throw invalidInput(field, `takes none of the ${objects.length} ImageBuilder objects`);
  throw invalidInput(
    'spec.items',
    'there is no ImageBuilder object among the items: kustomize gives items to transformers, not to generators, and those that are listed under resources',
  );
}

function isImageBuilder({ apiVersion, kind }: Record<string, unknown>): boolean {
  return kind === 'ImageBuilder' && apiVersion === 'airshipit.org/v1alpha1';
}

/** @param defaults for all catalogues */
async function parseItem(
  { value }: FunctionConfig,
  defaults: ImageBuilder['spec']['catalogue'],
): Promise<ImageBuilder> {
  const foreign = foreignValues(value);
  if (foreign.length > 0) throw new InvalidInputError(foreign);
  const object = await parseImageBuilder(value);
  if (object.spec.items) throw invalidInput('spec.items', 'is in an item itself; only the function takes it');
  const catalogue = { ...defaults, ...object.spec.catalogue };
  return { ...object, spec: { ...object.spec, catalogue } };
}

/** What goes wrong is told with the object, and with its file where the caller has noted it. */
async function about<Result>({ name, value }: FunctionConfig, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ImageBuilderError)) throw error;
    const file = fileOf(value.metadata);
    const findings = findingsOf(error).map((finding) => ({
      ...finding,
      object: `ImageBuilder/${name}`,
      ...(finding.field !== undefined && file !== undefined && finding.file === undefined && { file }),
    }));
    throw new InvalidInputError(findings, { cause: error });
  }
}
