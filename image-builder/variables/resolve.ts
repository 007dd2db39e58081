// spec.build to a build with every default filled in: built-in defaults, distribution, manifests with the profile over
// them, and the object itself, in this order.
import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import type { FieldPath } from '../diagnostics/field-path.ts';
import { SpecFiles } from '../policy/spec-files.ts';
import type { BuildSpec } from '../spec/types.ts';
import {
  DEFAULT_DISTRIBUTION,
  type DistributionData,
  readDistribution,
  readRoleDefaults,
} from './distribution.ts';
import { resolveLivecdcontent, resolveQcow } from './images.ts';
import { resolveIso } from './iso.ts';
import { type Layer, mergeLayers } from './layers.ts';
import { readLock } from './lock-file.ts';
import { findManifests, type Manifests, qcowNames, readScripts } from './manifests.ts';
import { type ChosenMirrors, chooseMirrors, readAptSources } from './mirror.ts';
import {
  archiveChoices,
  distributionDefaults,
  repositorySources,
  resolveMultistrap,
  sourcesOf,
} from './multistrap.ts';
import { originsOf } from './origins.ts';
import { OsconfigResolver, withRunContexts } from './osconfig.ts';
import { checkRepositories, readKeyringFiles } from './repositories.ts';
import { referredNames, renderTemplates, type Scope, type Scopes } from './templates.ts';
import type { ResolvedBuild, ResolvedLock } from './types.ts';
import { withoutCredentials } from './uri.ts';
import { checkLayer, inFile, readLayer, withoutOwnVariables } from './variable-files.ts';

export interface ResolveOptions {
  /** Relative names in the spec are relative to this directory. */
  cwd: string;
  /** Absolute paths that may be read besides `cwd`. */
  read?: readonly string[];
  /** apt's configuration, for the default mirror. */
  aptDirectory?: string;
  /** The lock file may be absent, as before it is made. */
  lockIsOptional?: boolean;
  /** Only the QCOWs of the object count, without what the manifests say of QCOWs. */
  onlyNamedQcows?: boolean;
  signal?: AbortSignal;
}

const ROLES = ['multistrap', 'osconfig', 'livecdcontent'] as const;

/**
 * @param name metadata.name of the object.
 * @param build a validated `spec.build`.
 * @throws InvalidInputError with all findings in the object and in the variable files.
 */
export async function resolveBuild(
  name: string,
  build: BuildSpec,
  options: ResolveOptions,
): Promise<ResolvedBuild> {
  const { name: distributionName, data: distribution } = readDistribution(
    build.distribution ?? DEFAULT_DISTRIBUTION,
  );
  const files = new SpecFiles(options.cwd, options.read);
  const manifests = await findManifests(build, name, files);
  const given = await readScopes(build, manifests, options.onlyNamedQcows ?? false);
  const rendered = await renderTemplates(builtInScope(distribution), given, options.signal);
  const { rootfs, qcows } = await checkScopes(withoutOwn(rendered, given), files);

  const architecture = rootfs.multistrap?.some(({ values }) => values.rootfs_arch === 'arm64')
    ? 'arm64'
    : 'amd64';
  const lock =
    build.lock === undefined ? undefined : await readLock(build.lock, architecture, { ...options, files });
  const aptDirectory = options.aptDirectory ?? '/etc/apt';
  const choices = archiveChoices(mergeLayers(rootfs.multistrap ?? []));
  const mirrors =
    snapshotMirrors(build, distributionName, distribution, choices.snapshot) ??
    (await findMirrors(build, distribution, architecture, aptDirectory, lock));
  const multistrap = mergeLayers([
    ...builtIn('multistrap'),
    { values: distributionDefaults(distribution, architecture, mirrors, choices) },
    ...(rootfs.multistrap ?? []),
  ]);
  const ownPackages = (rootfs.multistrap ?? []).some(
    ({ values }) => values.packages !== undefined || values.ubuntu_packages !== undefined,
  );
  const osconfigLayers = [...builtIn('osconfig'), ...inContext(rootfs.osconfig, 'common')];
  const qcowScripts = await readScripts(manifests, 'qcow');
  const names = Object.keys(qcows).sort();
  const osconfig = new OsconfigResolver();
  return {
    name,
    ...(manifests.profile && { profile: manifests.profile }),
    distribution: {
      name: distributionName,
      family: distribution.family,
      codename: distribution.codename,
      version: distribution.version,
      keyring: distribution.keyring,
      boot_packages: [...distribution.boot_packages.all, ...distribution.boot_packages[architecture]],
    },
    mirror: mirrors.archive.source,
    ...(mirrors.security && { securityMirror: mirrors.security.source }),
    sources: repositorySources(multistrap, mirrors),
    origins: originsOf(rendered.rootfs.multistrap ?? []),
    ...(lock === undefined ? {} : { lock }),
    rootfs: {
      multistrap: resolveMultistrap(multistrap, distribution, ownPackages),
      osconfig: osconfig.resolve(mergeLayers(osconfigLayers)),
      livecdcontent: resolveLivecdcontent(
        mergeLayers([...builtIn('livecdcontent'), ...(rootfs.livecdcontent ?? [])]),
      ),
      scripts: await readScripts(manifests, 'common'),
    },
    qcows: Object.fromEntries(
      // An ISO needs no QCOW; without one, an object that names no image at all means one image, named like itself.
      (names.length > 0 || build.iso !== undefined ? names : [name]).map((qcow) => [
        qcow,
        {
          osconfig: osconfig.resolve(
            mergeLayers([...osconfigLayers, ...inContext(qcows[qcow]?.osconfig, 'qcow')]),
          ),
          qcow: resolveQcow(qcow, mergeLayers([...builtIn('qcow'), ...(qcows[qcow]?.qcow ?? [])])),
          scripts: qcowScripts,
        },
      ]),
    ),
    ...(build.iso === undefined ? {} : { iso: await resolveIso(build.iso, manifests, name) }),
    bundle: resolveBundle(build.bundle),
    ...(build.store && { store: build.store }),
    bootTest: {
      timeout: build.bootTest?.timeout ?? 0,
      firmware: build.bootTest?.firmware ?? (architecture === 'arm64' ? ['uefi'] : ['bios', 'uefi']),
    },
    executor: build.executor ?? { local: {} },
    whenMissing: build.whenMissing ?? 'Build',
  };
}

const builtIn = (role: Parameters<typeof readRoleDefaults>[0]) => [{ values: readRoleDefaults(role) }];

const inContext = (layers: Layer[] | undefined, context: 'common' | 'qcow') =>
  (layers ?? []).map((layer) => ({ ...layer, values: withRunContexts(layer.values, context) }));

/** What templates can refer to though nobody has set it. */
function builtInScope({
  packages,
  kernel_base_pkg,
  kernel_headers_pkg,
}: DistributionData): Record<string, unknown> {
  const list = [...packages.all, ...packages.amd64];
  return {
    ...Object.assign({}, ...ROLES.map(readRoleDefaults)),
    // As the predecessor calls the contexts in which an item runs.
    default_run_context: 'common',
    qcow_run_context: 'qcow',
    packages: list,
    ubuntu_packages: list,
    kernel_base_pkg: kernel_base_pkg.amd64,
    kernel_headers_pkg: kernel_headers_pkg.amd64,
  };
}

/** The variables that somebody has set, by role; unchecked. */
async function readScopes(build: BuildSpec, manifests: Manifests, onlyNamed: boolean): Promise<Scopes> {
  const rootfs: Scope = {};
  for (const role of ROLES) {
    rootfs[role] = await layersOf(
      manifests,
      `rootfs/${role}-vars.yaml`,
      ['spec', 'build', 'rootfs', role],
      build.rootfs?.[role],
    );
  }
  rootfs.livecdcontent = (rootfs.livecdcontent ?? []).map(withoutProcessorFact);
  const qcows: Record<string, Scope> = {};
  const ofQcows: Manifests = onlyNamed ? { ...manifests, files: new Map() } : manifests;
  for (const qcow of new Set([...qcowNames(ofQcows), ...Object.keys(build.qcows ?? {})])) {
    const scope: Scope = {};
    for (const role of ['osconfig', 'qcow'] as const) {
      scope[role] = await layersOf(
        ofQcows,
        `${ofQcows.qcowPrefix}${qcow}/${role}-vars.yaml`,
        ['spec', 'build', 'qcows', qcow, role],
        build.qcows?.[qcow]?.[role],
      );
    }
    qcows[qcow] = scope;
  }
  return { rootfs, qcows };
}

/** The predecessor's way to say "one thread for each processor", a fact of the machine that Ansible runs on. */
const PROCESSORS = /^\s*\{\{\s*ansible_processor_vcpus\s*(\|\s*int\s*)?\}\}\s*$/;

/** 0 says the same, and is the same on every machine. */
function withoutProcessorFact(layer: Layer): Layer {
  const { mksquashfs_threads: threads } = layer.values;
  if (typeof threads !== 'string' || !PROCESSORS.test(threads)) return layer;
  return { ...layer, values: { ...layer.values, mksquashfs_threads: 0 } };
}

async function layersOf(
  manifests: Manifests,
  file: string,
  field: FieldPath,
  inline: Record<string, unknown> | undefined,
): Promise<Layer[]> {
  const layer = await readLayer(manifests, file, field);
  return [...(layer ? [layer] : []), ...(inline ? [{ values: inline, field }] : [])];
}

/** `rendered` without the variables that are there for the templates of `given` only. */
function withoutOwn(rendered: Scopes, given: Scopes): Scopes {
  const referred = referredNames(given);
  if (referred.size === 0) return rendered;
  const strip = (scope: Scope): Scope =>
    Object.fromEntries(
      Object.entries(scope).map(([role, layers]) => [
        role,
        layers.map((layer) => withoutOwnVariables(layer, referred)),
      ]),
    );
  return {
    rootfs: strip(rendered.rootfs),
    qcows: Object.fromEntries(Object.entries(rendered.qcows).map(([name, scope]) => [name, strip(scope)])),
  };
}

/** @throws InvalidInputError with the findings of all layers at once */
async function checkScopes({ rootfs, qcows }: Scopes, files: SpecFiles): Promise<Scopes> {
  const findings: Finding[] = [];
  for (const layer of [rootfs, ...Object.values(qcows)].flatMap((scope) => Object.values(scope).flat())) {
    findings.push(...checkLayer(layer));
  }
  if (findings.length > 0) throw new InvalidInputError(findings);
  for (const layer of rootfs.multistrap ?? [])
    findings.push(...checkRepositories(layer).map((finding) => inFile(finding, layer)));
  const multistrap = await Promise.all(
    (rootfs.multistrap ?? []).map((layer) => readKeyringFiles(layer, files, findings)),
  );
  if (findings.length > 0) throw new InvalidInputError(findings);
  return { rootfs: { ...rootfs, multistrap }, qcows };
}

/**
 * Where a snapshot of the distribution is; undefined when none is asked for.
 * @throws InvalidInputError when there is no such service, or another mirror is asked for as well
 */
function snapshotMirrors(
  build: BuildSpec,
  name: string,
  { snapshot: service }: DistributionData,
  date: string | undefined,
): ChosenMirrors | undefined {
  if (date === undefined) return undefined;
  const field = 'spec.build.rootfs.multistrap.snapshot';
  const refuse = (message: string) => new InvalidInputError([{ severity: 'error', field, message }]);
  if (service === undefined) throw refuse(`there is no snapshot service of ${name}`);
  if (build.mirror !== undefined)
    throw refuse('says where the packages come from, and so does spec.build.mirror');
  const at = (uri: string) => ({
    source: uri.replace('SNAPSHOT', date),
    from: [uri.replace('SNAPSHOT', date)],
  });
  return { archive: at(service.archive), security: at(service.security ?? service.archive) };
}

async function findMirrors(
  build: BuildSpec,
  distribution: DistributionData,
  architecture: 'amd64' | 'arm64',
  aptDirectory: string,
  lock: ResolvedLock | undefined,
): Promise<ChosenMirrors> {
  const known = chooseMirrors(await readAptSources(aptDirectory), distribution.family, architecture);
  const publicSecurity = distribution.repos.find(({ source }) => source !== undefined)?.source;
  const near = {
    archive: known.archive ?? distribution.mirror[architecture],
    security: known.archive === undefined ? publicSecurity : known.security,
  };
  const given = build.mirror === undefined ? undefined : sourcesOf(build.mirror);
  // A lock says what the image gets, so that it is the same everywhere; it is fetched from nearby all the same.
  const mirror = (source: string, nearby: string | undefined) => ({
    source: withoutCredentials(source),
    from: sourcesOf(nearby === undefined ? source : [nearby, source]),
  });
  const security = lock ? lock.mirrors.security : near.security;
  return {
    archive: given
      ? { source: withoutCredentials(given[0] ?? ''), from: given }
      : mirror((lock?.mirrors.archive ?? near.archive).replace(/\/+$/, ''), near.archive),
    ...(security === undefined ? {} : { security: mirror(security, near.security) }),
  };
}

function resolveBundle(bundle: BuildSpec['bundle'] = {}): ResolvedBuild['bundle'] {
  const {
    layout,
    archive,
    repository,
    push = true,
    disks = false,
    base = 'function',
    tag = 'latest',
  } = bundle;
  return {
    ...(layout !== undefined && { layout }),
    ...(archive !== undefined && { archive }),
    tag,
    ...(repository !== undefined && push && { repository }),
    disks,
    base: base === 'function' || base === 'none' ? base : { image: base },
  };
}
