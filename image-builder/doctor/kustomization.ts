// The mistakes in kustomizations that cost users hours, because kustomize says nothing or something misleading. Pure:
// read-kustomization.ts finds the files.
import { parseDocument } from 'yaml';
import type { Finding } from '../base/diagnostics/error.ts';
import { formatFieldPath } from '../base/diagnostics/field-path.ts';
import { isRecord } from '../base/record.ts';
import { endOfLifeOf, parseVersion } from '../spec/variables/kubernetes/minors.ts';
import { type DoctorCode, type DoctorFinding, finding, ok } from './finding.ts';

/** The lists of a kustomization that name functions. */
export const FUNCTION_LISTS = ['generators', 'transformers', 'validators'] as const;
type FunctionList = (typeof FUNCTION_LISTS)[number];

/** A functionConfig that a kustomization names. */
export interface ConfiguredFunction {
  list: FunctionList;
  /** Index in the list. */
  index: number;
  /** File of the object; the kustomization itself for an inline one. */
  file: string;
  object: Record<string, unknown>;
}

/** A kustomization with the functionConfigs that it names. */
export interface Kustomization {
  file: string;
  content: Record<string, unknown>;
  functions: ConfiguredFunction[];
}

/** What is known of the place where it will be rendered. */
export interface RenderFacts {
  /** Version of kustomize, for example `5.5.0`; undefined when it is not known. */
  kustomizeVersion?: string | undefined;
  /** Whether a legacy plugin for a kind is installed. */
  hasPlugin: (kind: string) => boolean;
  /** Whether an exec path of a function, as written in that file, is an executable. */
  isExecutable: (path: string, file: string) => boolean;
  /** Day (YYYY-MM-DD) after which nobody fixes what the profile of a `spec.build` in that file installs. */
  profileEndOfLife: (build: Record<string, unknown>, file: string) => string | undefined;
  /** YYYY-MM-DD */
  today: string;
}

/** `config.kubernetes.io/function`, parsed. */
interface FunctionSpec {
  container?: { image?: unknown; network?: unknown; mounts?: unknown };
  exec?: { path?: unknown; args?: unknown };
}

const OUR_KINDS = ['ImageBuilder', 'IsoConfiguration'];

/** Everything that is suspicious in one kustomization, worst first. */
export function checkKustomization(kustomization: Kustomization, facts: RenderFacts): DoctorFinding[] {
  const findings = kustomization.functions.flatMap((configured) =>
    checkFunction(configured, kustomization, facts),
  );
  findings.push(...checkReplacements(kustomization));
  const order = { error: 0, warning: 1, info: 2 };
  return findings.sort((a, b) => order[a.severity] - order[b.severity]);
}

function checkFunction(
  configured: ConfiguredFunction,
  { file }: Kustomization,
  facts: RenderFacts,
): DoctorFinding[] {
  const annotation = annotationOf(configured.object);
  const ours = isOurs(configured.object);
  if (!ours && annotation === undefined) return [];
  const findings: DoctorFinding[] = [];
  const say: Say = (severity, code, message, field, where = configured.file) =>
    findings.push(finding(severity, code, message, { field, file: where }));

  if (configured.list === 'validators') {
    say(
      'error',
      'FUNCTION_UNDER_VALIDATORS',
      'kustomize fails on every function under validators; list it last under transformers, where it passes items through',
      `validators[${configured.index}]`,
      file,
    );
  }
  const builderImage = ours ? builderImageOf(configured.object) : undefined;
  if (builderImage !== undefined && !hasDigest(builderImage))
    say('warning', 'IMAGE_WITHOUT_DIGEST', byTag(builderImage), 'spec.build.executor.container.image');
  if (ours) checkEndOfLife(configured, facts, say);
  for (const [field, bundle] of ours ? bundlesOf(configured.object) : []) {
    if (!trustsAnyAge(bundle)) continue;
    say(
      'warning',
      'TRUST_WITHOUT_MAX_AGE',
      `demands a signature for a tag, however old it is: whoever can move the tag can move it back to an older bundle, with the faults that it has; set maxAge, or pin the digest in ${field}.image`,
      `${field}.trust`,
    );
  }
  const kind = String(configured.object.kind ?? '');
  if (annotation === undefined) {
    if (!facts.hasPlugin(kind)) {
      say(
        'error',
        'FUNCTION_ANNOTATION_MISSING',
        'has no annotation config.kubernetes.io/function, and no plugin is installed: add the annotation, or run `image-builder install-plugin`',
        'metadata.annotations',
      );
    }
    return findings;
  }
  const field = 'metadata.annotations[config.kubernetes.io/function]';
  const spec = parseAnnotation(annotation);
  if (spec === undefined || (spec.exec === undefined) === (spec.container === undefined)) {
    say('error', 'FUNCTION_ANNOTATION_INVALID', 'is not YAML with exactly one of exec and container', field);
    return findings;
  }
  if (spec.exec) checkExec(spec.exec, configured, facts, say, field);
  if (spec.container) checkContainer(spec.container, configured.object, say, field);
  return findings;
}

type Say = (
  severity: Finding['severity'],
  code: DoctorCode,
  message: string,
  field: string,
  file?: string,
) => void;

function checkExec(
  exec: NonNullable<FunctionSpec['exec']>,
  configured: ConfiguredFunction,
  facts: RenderFacts,
  say: Say,
  field: string,
): void {
  if (typeof exec.path !== 'string' || exec.path === '') {
    say('error', 'FUNCTION_ANNOTATION_INVALID', 'exec has no path', `${field}.exec.path`);
  } else if (!facts.isExecutable(exec.path, configured.file)) {
    const base = exec.path.includes('/') ? "from the kustomization's directory" : 'on PATH';
    say(
      'error',
      'FUNCTION_NOT_EXECUTABLE',
      `${exec.path} is not an executable ${base}`,
      `${field}.exec.path`,
    );
  }
  if (exec.args !== undefined && facts.kustomizeVersion && olderThan(facts.kustomizeVersion, [5, 7])) {
    say(
      'error',
      'FUNCTION_ARGUMENTS_IGNORED',
      `args exist from kustomize 5.7 on; this is ${facts.kustomizeVersion}`,
      `${field}.exec.args`,
    );
  }
  say(
    'warning',
    'FUNCTION_NEEDS_FLAGS',
    'runs with `kustomize build --enable-alpha-plugins --enable-exec` only: without --enable-exec kustomize silently skips it and exits with 0. `kubectl kustomize` has no such flag; use `image-builder install-plugin` there',
    field,
  );
}

function checkContainer(
  container: NonNullable<FunctionSpec['container']>,
  object: Record<string, unknown>,
  say: Say,
  field: string,
): void {
  const functionImage = String(container.image ?? '');
  if (!hasDigest(functionImage))
    say('info', 'IMAGE_WITHOUT_DIGEST', byTag(functionImage), `${field}.container.image`);
  const network = container.network === true || container.network === 'true';
  const spec = (object.spec ?? {}) as Record<string, unknown>;
  if (isOurs(object) && spec.build !== undefined) {
    const { executor } = spec.build as { executor?: { container?: unknown } };
    if (executor?.container === undefined) {
      say(
        'error',
        'CONTAINER_WITHOUT_TOOLS',
        'a container function has no tools: build with exec, or with spec.build.executor.container on an engine whose socket is mounted',
        `${field}.container`,
      );
    } else {
      say(
        'warning',
        'CONTAINER_NEEDS_ENGINE',
        'builds with `kustomize build --as-current-user --mount type=bind,src=/var/run/docker.sock,dst=/var/run/docker.sock,rw=true` only, or with DOCKER_HOST in `envs` and `network: true`',
        `${field}.container`,
      );
    }
  }
  const mounts = (container.mounts as { src?: unknown }[] | undefined) ?? [];
  if (Array.isArray(mounts) && mounts.some(({ src }) => String(src).startsWith('/'))) {
    say(
      'error',
      'CONTAINER_MOUNTS_REFUSED',
      'kustomize 5 refuses absolute paths in the annotation, and kustomize 4 ignores mounts there: use `kustomize build --mount`',
      `${field}.container.mounts`,
    );
  }
  const isFetched = bundlesOf({ spec }).some(([, { image }]) => isRemote(String(image ?? '')));
  if (isFetched && !network) {
    say(
      'error',
      'CONTAINER_WITHOUT_NETWORK',
      'reads from a registry, but has no network: add `network: true`',
      `${field}.container.network`,
    );
  }
  if (network)
    say(
      'warning',
      'FUNCTION_NEEDS_FLAGS',
      'needs `kustomize build --enable-alpha-plugins --network`',
      `${field}.container.network`,
    );
}

/** The image that the build is said to run in. */
function builderImageOf(object: Record<string, unknown>): string | undefined {
  const { build } = (object.spec ?? {}) as {
    build?: { executor?: { container?: { image?: unknown } } | null } | null;
  };
  const image = build?.executor?.container?.image;
  return typeof image === 'string' ? image : undefined;
}

/** Of the Kubernetes that the object names, else of what its profile installs. */
function checkEndOfLife({ object, file }: ConfiguredFunction, facts: RenderFacts, say: Say): void {
  const { build } = (object.spec ?? {}) as {
    build?: (Record<string, unknown> & { kubernetes?: { version?: unknown } | null }) | null;
  };
  if (!build) return;
  const version = build.kubernetes?.version;
  const [end, field, what] =
    version === undefined || version === null
      ? [facts.profileEndOfLife(build, file), 'spec.build.profile', 'the software it installs']
      : [endOfLifeOfVersion(String(version)), 'spec.build.kubernetes.version', 'it'];
  if (end !== undefined && facts.today > end)
    say('warning', 'END_OF_LIFE', `reached its end of life on ${end}: ${what} no longer gets fixes`, field);
}

function endOfLifeOfVersion(text: string): string | undefined {
  const version = parseVersion(text);
  return version && endOfLifeOf(version);
}

/** What an object says of a bundle that it reads. */
interface BundleOfObject {
  image?: unknown;
  trust?: { maxAge?: unknown } | null;
}

/** The bundles that an object reads, by their fields. */
function bundlesOf(object: Record<string, unknown>): [string, BundleOfObject][] {
  const { bundle, bundles } = (object.spec ?? {}) as { bundle?: unknown; bundles?: unknown };
  const all: [string, unknown][] = [
    ['spec.bundle', bundle],
    ...Object.entries(isRecord(bundles) ? bundles : {}).map(([name, value]): [string, unknown] => [
      formatFieldPath(['spec', 'bundles', name]),
      value,
    ]),
  ];
  return all.filter((entry): entry is [string, BundleOfObject] => isRecord(entry[1]));
}

/** Whether a bundle is demanded by a tag of a registry alone, with a signature of any age. */
function trustsAnyAge({ image, trust }: BundleOfObject): boolean {
  if (!trust || trust.maxAge !== undefined) return false;
  const text = String(image ?? '');
  return isRemote(text) && !hasDigest(text);
}

const isRemote = (image: string) =>
  image !== '' && !/^(oci|oci-archive|docker-archive|docker-daemon):/.test(image);

const hasDigest = (image: string) => /@sha256:[0-9a-f]{64}$/.test(image);

const byTag = (image: string) =>
  `${image} has no digest: whoever may push it decides what is run; name it as ${image}@sha256:...`;

/** Builtin replacements run before the transformers of the same kustomization: a catalogue of theirs comes too late. */
function checkReplacements({ file, content, functions }: Kustomization): DoctorFinding[] {
  const transforms = functions.some(
    ({ list, object }) => list !== 'generators' && (isOurs(object) || annotationOf(object) !== undefined),
  );
  if (!transforms || !Array.isArray(content.replacements)) return [];
  return content.replacements.flatMap((replacement, index): DoctorFinding[] => {
    const kind = (replacement as { source?: { kind?: unknown } } | null)?.source?.kind;
    if (kind !== 'VariableCatalogue') return [];
    return [
      finding(
        'error',
        'REPLACEMENT_TOO_EARLY',
        'runs before the transformers of this kustomization, so their catalogue is not there yet: list the function under generators, or move it to a base that this kustomization names under resources',
        { file, field: `replacements[${index}].source` },
      ),
    ];
  });
}

/** Whether kustomize itself is fit. */
export function checkKustomizeVersion(version: string): DoctorFinding {
  const message = `kustomize ${version}`;
  if (olderThan(version, [4, 5])) {
    return finding(
      'error',
      'KUSTOMIZE_OLD',
      `${message} is too old: 4.5 or newer is needed, 5.x recommended`,
    );
  }
  if (olderThan(version, [5, 0])) {
    return finding(
      'warning',
      'KUSTOMIZE_OLD',
      `${message}: objects annotated config.kubernetes.io/local-config stay in the output before 5.x`,
    );
  }
  return ok(message);
}

/** Whether a version such as `v4.5.4` is older than `[major, minor]`. */
export function olderThan(version: string, [major, minor]: readonly [number, number]): boolean {
  const match = /(\d+)\.(\d+)/.exec(version);
  if (match === null) return false;
  const [, actualMajor = '0', actualMinor = '0'] = match;
  return Number(actualMajor) < major || (Number(actualMajor) === major && Number(actualMinor) < minor);
}

function isOurs(object: Record<string, unknown>): boolean {
  return object.apiVersion === 'airshipit.org/v1alpha1' && OUR_KINDS.includes(String(object.kind));
}

function annotationOf(object: Record<string, unknown>): string | undefined {
  const metadata = object.metadata as { annotations?: Record<string, unknown> } | undefined;
  const value = metadata?.annotations?.['config.kubernetes.io/function'];
  return typeof value === 'string' ? value : undefined;
}

function parseAnnotation(text: string): FunctionSpec | undefined {
  const document = parseDocument(text);
  const value: unknown = document.errors.length > 0 ? undefined : document.toJS();
  return typeof value === 'object' && value !== null ? (value as FunctionSpec) : undefined;
}
