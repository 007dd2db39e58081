// functionConfig of kind ImageBuilder: extracts a bundle or builds one, and answers with its catalogues.
import type { YAMLMap } from 'yaml';
import { throwIfCancelled } from '../../../image-builder/base/diagnostics/cancelled.ts';
import {
  type Finding,
  ImageBuilderError,
  InvalidInputError,
  invalidInput,
} from '../../../image-builder/base/diagnostics/error.ts';
import type { Reporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { formatBytes } from '../../../image-builder/base/diagnostics/render.ts';
import { withData } from '../../../image-builder/base/yaml/data-node.ts';
import { toNode } from '../../../image-builder/base/yaml/values.ts';
import type { BundleContents } from '../../../image-builder/bundle/model.ts';
import { cataloguesOf, type VariableCatalogue } from '../../../image-builder/bundle/profile/catalogue.ts';
import { oddTexts } from '../../../image-builder/bundle/profile/odd-texts.ts';
import type { ReadCost } from '../../../image-builder/bundle/read/read-bundle.ts';
import type { Verification } from '../../../image-builder/bundle/read/verification.ts';
import type { PullSecret } from '../../../image-builder/oci/credentials/credentials.ts';
import type { BuildSpec, BundleSpec } from '../../../image-builder/spec/api/types.ts';
import { catalogueName, parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';
import type { FunctionContext, Handler } from '../handler.ts';
import { fileOf } from '../items.ts';
import type { FunctionConfig } from '../resource-list.ts';
import { pullSecretsOf } from './pull-secrets.ts';

/** What the function needs of the engine. */
export interface Engine {
  /** Reads the metadata of a bundle. */
  readBundle(
    reference: string,
    options: {
      profiles?: string[];
      verify?: 'partial' | 'full';
      trust?: BundleSpec['trust'];
      credentials?: { pullSecrets: PullSecret[] };
      signal: AbortSignal;
    },
  ): Promise<BundleContents & { cost: ReadCost; warnings: string[]; verification?: Verification }>;
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
    const { metadata, spec } = await parseImageBuilder(config.value);
    const { contents, findings } = spec.bundle
      ? await extract(engine, spec.bundle, context)
      : await buildOrFind(engine, config, context, spec.build as BuildSpec);
    const profiles = new Map(
      (spec.bundle?.profiles ?? []).map((profile) => [profile.path, catalogueName(profile)]),
    );
    const catalogues = cataloguesOf(contents, { name: metadata.name, profiles }, spec.catalogue);
    checkNames(catalogues.map((catalogue) => catalogue.metadata.name));
    const all = [...findings, ...contents.profiles.flatMap(oddTexts)];
    return { objects: catalogues.map(catalogueNode), findings: all };
  };
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
) {
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
  return { contents, findings: contents.warnings.map(warning) };
}

async function extract(engine: Engine, bundle: BundleSpec, { signal, readItems }: FunctionContext) {
  const pullSecrets = pullSecretsOf(readItems());
  const contents = await engine
    .readBundle(bundle.image, {
      ...(bundle.profiles && { profiles: bundle.profiles.map(({ path }) => path) }),
      ...(bundle.verify && { verify: bundle.verify }),
      ...(bundle.trust && { trust: bundle.trust }),
      ...(pullSecrets.length > 0 && { credentials: { pullSecrets } }),
      signal,
    })
    .catch((error) => {
      throwIfCancelled(signal);
      const isDistrust = error instanceof ImageBuilderError && error.code.startsWith('TRUST_');
      throw atField(isDistrust && bundle.trust ? 'spec.bundle.trust' : 'spec.bundle.image', error);
    });
  if (contents.profiles.length === 0) {
    throw invalidInput(
      'spec.bundle.image',
      `${bundle.image} has no /profiles/profile_*.json, so it is not a qcow bundle`,
    );
  }
  const cost = describeCost(contents.reference.image, contents.cost, contents.verification);
  return { contents, findings: [...contents.warnings.map(warning), cost] };
}

function warning(message: string): Finding {
  return { severity: 'warning', message };
}

/** `verification: partial` in the tags says that not all that was used was checked to its end. */
function describeCost(
  image: string,
  { requests, bytes, milliseconds }: ReadCost,
  verification?: Verification,
): Finding {
  return {
    severity: 'info',
    message: `read ${image}: ${requests} requests, ${formatBytes(bytes)}, ${milliseconds} ms`,
    tags: {
      requests: `${requests}`,
      bytes: `${bytes}`,
      milliseconds: `${milliseconds}`,
      ...(verification && { verification }),
    },
  };
}

/** Two catalogues of one name would silently become one. */
function checkNames(names: string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return;
  throw invalidInput(
    'metadata.name',
    `gives two catalogues the name ${twice}; rename one with spec.bundle.profiles[].name`,
  );
}

/** The error of the engine with the field that has caused it. */
function atField(field: string, error: unknown): unknown {
  if (!(error instanceof ImageBuilderError)) return error;
  const findings = error.findings().map((finding) => ({ field, ...finding }));
  return new InvalidInputError(findings, { cause: error });
}
