// Reads what an object names: one bundle (`spec.bundle`), or many at once (`spec.bundles`).
import { throwIfCancelled } from '../../../image-builder/base/diagnostics/cancelled.ts';
import {
  type Finding,
  ImageBuilderError,
  InvalidInputError,
  invalidInput,
} from '../../../image-builder/base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath } from '../../../image-builder/base/diagnostics/field-path.ts';
import { formatBytes } from '../../../image-builder/base/diagnostics/render.ts';
import type { BundleContents } from '../../../image-builder/bundle/model.ts';
import type { CatalogueNames } from '../../../image-builder/bundle/profile/catalogue.ts';
import type { ReadCost } from '../../../image-builder/bundle/read/read-bundle.ts';
import type { Verification } from '../../../image-builder/bundle/read/verification.ts';
import type { PullSecret } from '../../../image-builder/oci/credentials/credentials.ts';
import type { BundleSpec, ImageBuilder } from '../../../image-builder/spec/api/types.ts';
import { catalogueName } from '../../../image-builder/spec/api/validate.ts';
import { eachAtOnce } from '../each-at-once.ts';
import type { FunctionContext } from '../handler.ts';
import { pullSecretsOf } from './pull-secrets.ts';

/** Bundles that are read at the same time: what a registry answers at once, and what a few processors can check. */
const AT_ONCE = 8;

/** Reads the metadata of a bundle. */
export type ReadBundle = (
  reference: string,
  options: {
    profiles?: string[];
    verify?: 'partial' | 'full';
    trust?: BundleSpec['trust'];
    credentials?: { pullSecrets: PullSecret[] };
    signal: AbortSignal;
  },
) => Promise<BundleContents & { cost: ReadCost; warnings: string[]; verification?: Verification }>;

/** What catalogues are made of. */
export interface CatalogueSource {
  contents: BundleContents;
  names: CatalogueNames;
  /** Warnings and information. */
  findings: Finding[];
}

/**
 * The bundles in the order of the object.
 * @param name of the object
 * @throws InvalidInputError with the findings of every bundle that could not be read
 */
export async function readBundles(
  readBundle: ReadBundle,
  name: string,
  { bundle, bundles = {} }: Pick<ImageBuilder['spec'], 'bundle' | 'bundles'>,
  { signal, readItems }: FunctionContext,
): Promise<CatalogueSource[]> {
  const pullSecrets = pullSecretsOf(readItems());
  const read = (wanted: BundleSpec, path: FieldPath) =>
    readOne(readBundle, wanted, path, { pullSecrets, signal });
  if (bundle) {
    const { contents, findings } = await read(bundle, ['spec', 'bundle']);
    const profiles = new Map(
      (bundle.profiles ?? []).map((profile) => [profile.path, catalogueName(profile)]),
    );
    return [{ contents, names: { name, profiles }, findings }];
  }
  return eachAtOnce(Object.entries(bundles), AT_ONCE, signal, async ([entry, wanted]) => {
    const { contents, findings } = await read(wanted, ['spec', 'bundles', entry]);
    const given = new Map((wanted.profiles ?? []).map(({ path, name }) => [path, name]));
    // Every bundle has profiles of the same names.
    const profiles = new Map(
      contents.profiles.map((profile) => [
        profile.path,
        given.get(profile.path) ?? `${entry}-${catalogueName(profile)}`,
      ]),
    );
    return { contents, names: { name: entry, profiles }, findings };
  });
}

/** @param path of the field that names the bundle */
async function readOne(
  readBundle: ReadBundle,
  bundle: BundleSpec,
  path: FieldPath,
  { pullSecrets, signal }: { pullSecrets: PullSecret[]; signal: AbortSignal },
) {
  const imageField = formatFieldPath([...path, 'image']);
  const contents = await readBundle(bundle.image, {
    ...(bundle.profiles && { profiles: bundle.profiles.map(({ path }) => path) }),
    ...(bundle.verify && { verify: bundle.verify }),
    ...(bundle.trust && { trust: bundle.trust }),
    ...(pullSecrets.length > 0 && { credentials: { pullSecrets } }),
    signal,
  }).catch((error) => {
    throwIfCancelled(signal);
    const isDistrust = error instanceof ImageBuilderError && error.code.startsWith('TRUST_');
    throw atField(isDistrust && bundle.trust ? formatFieldPath([...path, 'trust']) : imageField, error);
  });
  if (contents.profiles.length === 0) {
    throw invalidInput(
      imageField,
      `${bundle.image} has no /profiles/profile_*.json, so it is not a qcow bundle`,
    );
  }
  const cost = describeCost(contents.reference.image, contents.cost, contents.verification);
  return { contents, findings: [...contents.warnings.map(warning), cost] };
}

/** What the engine warns of. */
export function warning(message: string): Finding {
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

/** The error of the engine with the field that has caused it. */
function atField(field: string, error: unknown): unknown {
  if (!(error instanceof ImageBuilderError)) return error;
  const findings = error.findings().map((finding) => ({ field, ...finding }));
  return new InvalidInputError(findings, { cause: error });
}
