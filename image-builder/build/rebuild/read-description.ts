// A build out of its description (spec/variables/description.ts). Somebody else has written it: it goes the way of every
// spec, through the schema and all checks, and reaches no file but its own.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidInputError } from '../../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath, parseFieldPath } from '../../base/diagnostics/field-path.ts';
import { isRecord } from '../../base/record.ts';
import type { BuildSpec } from '../../spec/api/types.ts';
import { parseImageBuilder } from '../../spec/api/validate.ts';
import type { BuildDescription } from '../../spec/variables/description.ts';
import { isImageName } from '../../spec/variables/kubernetes/preload.ts';
import { resolveBuild } from '../../spec/variables/resolve.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { PinnedImage, ResolvedPreload } from '../../spec/variables/resolved-kubernetes.ts';
import type { ScriptFile } from '../../spec/variables/resolved-osconfig.ts';
import { RebuildError } from './rebuild-error.ts';

/** Secret values by field of the object: `spec.build.rootfs.osconfig.user_management[0].password_hash`. */
export type Secrets = Readonly<Record<string, string>>;

/** A build as it was described. */
export interface DescribedBuild {
  resolved: ResolvedBuild;
  /** SOURCE_DATE_EPOCH of the build. */
  sourceDateEpoch?: number;
}

/** What a description says of a build; where it goes, who builds it and what is shared is the caller's. */
const FIELDS = ['distribution', 'rootfs', 'qcows', 'bundle'];
const BUNDLE_FIELDS = ['base', 'builderImage'];

/**
 * @param directory an empty one, for the files of the build
 * @throws RebuildError, InvalidInputError
 */
export async function readDescription(
  content: Uint8Array,
  secrets: Secrets,
  directory: string,
): Promise<DescribedBuild> {
  const { object, scripts, lock, images, locked, sourceDateEpoch, withheld } = parseDescription(content);
  addSecrets(object, withheld, secrets);
  const { metadata, spec } = await asSpec(() => parseImageBuilder(object));
  const build = spec.build ?? {};
  requireOnly(build, FIELDS, 'spec.build');
  requireOnly(build.bundle ?? {}, BUNDLE_FIELDS, 'spec.build.bundle');
  await writeFile(join(directory, LOCK), lock);
  for (const [context, files] of Object.entries(scripts)) await writeScripts(files, context, directory);
  const whole: BuildSpec = { ...build, manifests: MANIFESTS, lock: LOCK };
  const resolved = await asSpec(() => resolveBuild(metadata.name, whole, { cwd: directory, literal: true }));
  const { lock: packages, ...unlocked } = resolved;
  const again = locked || !packages ? resolved : { ...unlocked, replay: packages };
  return {
    resolved: images ? { ...again, preload: preloadOf(images) } : again,
    ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
  };
}

/** From the registries that the references name, and the mirrors that this machine has for them. */
const preloadOf = (images: readonly PinnedImage[]): ResolvedPreload => ({
  requested: images.map(({ reference }) => reference),
  mirrors: {},
  images: [...images],
});

const LOCK = 'lock.yaml';
const MANIFESTS = 'manifests';

/** Bytes of JSON to their fields, without a look into the object. @throws RebuildError */
function parseDescription(content: Uint8Array): BuildDescription {
  const malformed = (what: string) =>
    new RebuildError('REBUILD_UNDESCRIBED', `the description of the build is malformed: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(content).toString('utf8'));
  } catch (cause) {
    throw malformed((cause as Error).message);
  }
  if (!isRecord(value)) throw malformed('it is no object');
  const { object, scripts, lock, images, locked, sourceDateEpoch, withheld } = value;
  const { common, qcow } = isRecord(scripts) ? scripts : {};
  if (!isRecord(object)) throw malformed('object is none');
  if (!areScripts(common) || !areScripts(qcow)) throw malformed('scripts are none');
  if (typeof lock !== 'string' || typeof locked !== 'boolean') throw malformed('it has no lock file');
  if (images !== undefined && !areImages(images)) throw malformed('images are none');
  if (sourceDateEpoch !== undefined && !isSeconds(sourceDateEpoch))
    throw malformed('sourceDateEpoch is no time');
  if (!Array.isArray(withheld) || !withheld.every((one) => typeof one === 'string'))
    throw malformed('withheld is no list of fields');
  return {
    // The schema knows what an object is.
    object: object as unknown as BuildDescription['object'],
    scripts: { common, qcow },
    ...{ lock, locked, withheld },
    ...(images !== undefined && { images }),
    ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
  };
}

const isSeconds = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1e10;

/** They become names of files. */
const SCRIPT_NAME = /^(?!\.{1,2}$)[^/\0]{1,255}$/;

const areScripts = (value: unknown): value is ScriptFile[] =>
  Array.isArray(value) &&
  value.every(
    (one) =>
      isRecord(one) &&
      typeof one.name === 'string' &&
      SCRIPT_NAME.test(one.name) &&
      typeof one.content === 'string',
  );

const areImages = (value: unknown): value is PinnedImage[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(
    (one) =>
      isRecord(one) &&
      typeof one.reference === 'string' &&
      isImageName(one.reference) &&
      /^sha256:[0-9a-f]{64}$/.test(String(one.digest)),
  );

async function writeScripts(files: readonly ScriptFile[], context: string, directory: string): Promise<void> {
  const scripts = join(directory, MANIFESTS, 'scripts', context);
  await mkdir(scripts, { recursive: true });
  for (const { name, content } of files) await writeFile(join(scripts, name), content);
}

/** Puts secrets where the description has left them out. @throws RebuildError naming all that are missing */
function addSecrets(object: unknown, withheld: readonly string[], secrets: Secrets): void {
  const missing = withheld.filter((field) => !Object.hasOwn(secrets, field));
  if (missing.length > 0)
    throw new RebuildError(
      'REBUILD_NEEDS_SECRETS',
      'the build had secret values that its description leaves out',
      {
        hint: 'Give them with --secrets FILE, a map in YAML from field to value.',
        output: missing,
      },
    );
  for (const field of withheld) put(object, parseFieldPath(field), secrets[field] ?? '');
}

/** Sets a field of a map that is there. @throws RebuildError for any other place */
function put(object: unknown, path: FieldPath, value: string): void {
  let place: unknown = object;
  for (const segment of path.slice(0, -1)) place = own(place, segment);
  const last = path.at(-1);
  if (!isRecord(place) || typeof last !== 'string' || last === '__proto__')
    throw new RebuildError(
      'REBUILD_UNDESCRIBED',
      `the description of the build has no place for ${formatFieldPath(path)}`,
    );
  place[last] = value;
}

const own = (value: unknown, segment: string | number): unknown =>
  (isRecord(value) || Array.isArray(value)) && Object.hasOwn(value, segment)
    ? (value as Record<string | number, unknown>)[segment]
    : undefined;

function requireOnly(given: object, known: readonly string[], field: string): void {
  const others = Object.keys(given).filter((name) => !known.includes(name));
  if (others.length > 0)
    throw new RebuildError(
      'REBUILD_UNDESCRIBED',
      `the description of the build says what is the caller's to say: ${others.map((name) => `${field}.${name}`).join(', ')}`,
    );
}

/** Findings about a description are about no file of the caller's. */
async function asSpec<Result>(step: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    throw new InvalidInputError(
      error.findings().map(({ file: _, line: __, excerpt: ___, ...finding }) => ({
        ...finding,
        file: 'the description of the build',
      })),
      { cause: error },
    );
  }
}
