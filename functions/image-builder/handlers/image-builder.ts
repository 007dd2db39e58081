// functionConfig of kind ImageBuilder: extracts a bundle or builds one, and answers with its catalogues.
import type { YAMLMap } from 'yaml';
import { invalidInput } from '../../../image-builder/base/diagnostics/error.ts';
import type { Reporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { withData } from '../../../image-builder/base/yaml/data-node.ts';
import { toNode } from '../../../image-builder/base/yaml/values.ts';
import type { BundleContents } from '../../../image-builder/bundle/model.ts';
import { cataloguesOf, type VariableCatalogue } from '../../../image-builder/bundle/profile/catalogue.ts';
import { oddTexts } from '../../../image-builder/bundle/profile/odd-texts.ts';
import type { PullSecret } from '../../../image-builder/oci/credentials/credentials.ts';
import type { BuildSpec, ImageBuilder } from '../../../image-builder/spec/api/types.ts';
import { parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';
import type { FunctionContext, Handler } from '../handler.ts';
import { fileOf } from '../items.ts';
import type { FunctionConfig } from '../resource-list.ts';
import { pullSecretsOf } from './pull-secrets.ts';
import { type CatalogueSource, type ReadBundle, readBundles, warning } from './read-bundles.ts';

/** What catalogues are made of, and how. */
interface NamedSource extends CatalogueSource {
  options: ImageBuilder['spec']['catalogue'];
}

/** What the function needs of the engine. */
export interface Engine {
  readBundle: ReadBundle;
  /** Builds, or takes from the store what has not changed. */
  build(
    name: string,
    spec: BuildSpec,
    options: {
      cwd: string;
      file?: string;
      credentials?: { pullSecrets: PullSecret[] };
      report: Reporter;
      signal: AbortSignal;
    },
  ): Promise<BundleContents & { warnings: string[] }>;
}

/** The handler of ImageBuilder objects on an engine. */
export function imageBuilderHandler(engine: Engine): Handler {
  return async (config, context) => {
    const object = await parseImageBuilder(config.value);
    const sources = object.spec.items
      ? await (await import('./image-builder-items.ts')).handleItems(object.spec, context, (item) =>
          sourcesOf(engine, item, context),
        )
      : await sourcesOf(engine, { config, object }, context);
    const catalogues = sources.flatMap(({ contents, names, options }) =>
      cataloguesOf(contents, names, options),
    );
    checkNames(
      catalogues.map((catalogue) => catalogue.metadata.name),
      object.spec,
    );
    const findings = sources.flatMap(({ contents, findings }) => [
      ...findings,
      ...contents.profiles.flatMap(oddTexts),
    ]);
    return { objects: catalogues.map(catalogueNode), findings };
  };
}

/** What one object says: a build, or bundles to read. */
async function sourcesOf(
  engine: Engine,
  { config, object }: { config: FunctionConfig; object: ImageBuilder },
  context: FunctionContext,
): Promise<NamedSource[]> {
  const { metadata, spec } = object;
  const sources = spec.build
    ? [await buildOrFind(engine, config, context, spec.build)]
    : await readBundles(engine.readBundle, metadata.name, spec, context);
  return sources.map((source) => ({ ...source, options: spec.catalogue }));
}

/** Header and metadata can be changed by whoever puts it into a list, the data cannot. */
function catalogueNode({ apiVersion, kind, metadata, ...data }: VariableCatalogue): YAMLMap {
  return withData(toNode({ apiVersion, kind, metadata }) as YAMLMap, data);
}

/** The file of the object is known when the caller has noted it, as kpt does. */
async function buildOrFind(
  engine: Engine,
  { name, value }: FunctionConfig,
  { cwd, report, signal, readItems }: FunctionContext,
  spec: BuildSpec,
): Promise<CatalogueSource> {
  const file = fileOf(value.metadata);
  // Reading the items takes time that a render with nothing to publish need not spend.
  const { repository, base = 'function' } = spec.bundle ?? {};
  const hasBaseImage = base !== 'function' && base !== 'none';
  const asksRegistries = Boolean(repository ?? spec.store) || hasBaseImage;
  const pullSecrets = asksRegistries ? pullSecretsOf(readItems()) : [];
  const contents = await engine.build(name, spec, {
    cwd,
    report,
    signal,
    ...(file !== undefined && { file }),
    ...(pullSecrets.length > 0 && { credentials: { pullSecrets } }),
  });
  return { contents, names: { name }, findings: contents.warnings.map(warning) };
}

/** Two catalogues of one name would silently become one. */
function checkNames(names: string[], { items }: ImageBuilder['spec']): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw invalidInput(
    'metadata.name',
    `gives two catalogues the name ${twice}; ${items ? 'set catalogue.namePrefix of one object' : 'rename one with profiles[].name of its bundle'}`,
  );
}
