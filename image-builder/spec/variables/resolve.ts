// spec.build to a build with every default filled in: built-in defaults, distribution, manifests with the profile over
// them, and the object itself, in this order.
import { type Finding, InvalidInputError, invalidInput } from '../../base/diagnostics/error.ts';
import { SpecFiles } from '../../policy/spec-files.ts';
import type { BuildSpec, Repository } from '../api/types.ts';
import { parseImageBuilder, parseRendered } from '../api/validate.ts';
import {
  DEFAULT_DISTRIBUTION,
  type DistributionData,
  readDistribution,
  readRoleDefaults,
} from './distribution.ts';
import { checkExecutor } from './executor.ts';
import { resolveLivecdcontent, resolveQcow } from './images.ts';
import { requireLiveBoot, resolveIso } from './iso.ts';
import { resolveKubernetes } from './kubernetes/resolve.ts';
import { checkKubernetes } from './kubernetes.ts';
import { readLock } from './lock-file.ts';
import { findManifests } from './manifests.ts';
import { type ChosenMirrors, chooseMirrors, readAptSources } from './mirror.ts';
import {
  archiveChoices,
  distributionDefaults,
  isOfDistribution,
  repositorySources,
  resolveMultistrap,
  sourcesOf,
} from './multistrap.ts';
import { originsOf } from './origins.ts';
import { OsconfigResolver, withRunContexts } from './osconfig.ts';
import { type Layer, mergeLayers } from './overrides.ts';
import { resolveBootTest } from './resolve-boot-test.ts';
import type { ResolvedBuild } from './resolved.ts';
import type { ResolvedLock } from './resolved-lock.ts';
import { checkScopes, collected, ROLES, readCheckedScripts, readScopes, withoutOwn } from './scopes.ts';
import { renderTemplates, type Scopes } from './templates.ts';
import { withoutCredentials } from './uri.ts';

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
  /** What is in the variables is meant literally: none of it is a template. */
  literal?: boolean;
  signal?: AbortSignal;
}

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
  const findings: Finding[] = [];
  const given = await readScopes(build, manifests, options.onlyNamedQcows ?? false, findings);
  const scripts = {
    common: await readCheckedScripts(manifests, 'common', findings),
    qcow: await readCheckedScripts(manifests, 'qcow', findings),
  };
  // A value that is not a map of variables has none to render.
  if (findings.length > 0) throw new InvalidInputError(findings);
  const rendered = options.literal
    ? given
    : await withoutOwn(
        await renderTemplates(builtInScope(distribution, given), given, findings, options.signal),
        given,
      );
  // A template that could not be rendered may have become anything.
  const parse = findings.length > 0 ? parseImageBuilder : parseRendered;
  const architecture = rendered.rootfs.multistrap?.some(({ values }) => values.rootfs_arch === 'arm64')
    ? 'arm64'
    : 'amd64';
  const lock =
    build.lock && (await collected(findings, readLock(build.lock, architecture, { ...options, files })));
  const aptDirectory = options.aptDirectory ?? '/etc/apt';
  const near = await findMirrors(build, distribution, architecture, aptDirectory, lock || undefined);
  const iso = build.iso && (await collected(findings, resolveIso(build.iso, manifests, name)));
  const isOwn = (repository: Repository) => isOfDistribution(repository, distribution, near);
  const { rootfs, qcows } = await checkScopes(rendered, files, isOwn, parse, findings);
  const choices = archiveChoices(mergeLayers(rootfs.multistrap ?? []));
  const mirrors = snapshotMirrors(build, distributionName, distribution, choices.snapshot) ?? near;
  const node = await resolveKubernetes(rootfs, distribution, files, findings, {
    lock: lock || undefined,
    lockIsOptional: options.lockIsOptional ?? false,
  });
  if (findings.length > 0) throw new InvalidInputError(findings);
  const multistrap = node.underMultistrap(
    mergeLayers([
      ...builtIn('multistrap'),
      { values: distributionDefaults(distribution, architecture, mirrors, choices) },
      ...(rootfs.multistrap ?? []),
    ]),
  );
  const ownPackages = (rootfs.multistrap ?? []).some(
    ({ values }) => values.packages !== undefined || values.ubuntu_packages !== undefined,
  );
  const osconfigLayers = [...builtIn('osconfig'), ...inContext(rootfs.osconfig, 'common')];
  const names = Object.keys(qcows).sort();
  const osconfig = new OsconfigResolver();
  const common = {
    multistrap: resolveMultistrap(multistrap, distribution, ownPackages),
    osconfig: osconfig.resolve(node.underOsconfig(mergeLayers(osconfigLayers))),
    livecdcontent: resolveLivecdcontent(
      mergeLayers([...builtIn('livecdcontent'), ...(rootfs.livecdcontent ?? [])]),
    ),
    scripts: scripts.common,
  };
  if (iso) requireLiveBoot(common);
  const resolved: ResolvedBuild = {
    name,
    ...(manifests.profile && { profile: manifests.profile }),
    ...(node.resolved && { kubernetes: node.resolved }),
    ...(node.preload && { preload: node.preload }),
    distribution: {
      name: distributionName,
      family: distribution.family,
      codename: distribution.codename,
      version: distribution.version,
      keyring: distribution.keyring,
      boot_packages: [...distribution.boot_packages.all, ...distribution.boot_packages[architecture]],
      default_packages: [...distribution.packages.all, ...distribution.packages[architecture]],
    },
    mirror: mirrors.archive.source,
    ...(mirrors.security && { securityMirror: mirrors.security.source }),
    sources: repositorySources(multistrap, mirrors),
    origins: node.underOrigins(originsOf(rendered.rootfs.multistrap ?? [])),
    ...(lock && { lock }),
    rootfs: common,
    qcows: Object.fromEntries(
      // An ISO needs no QCOW; without one, an object that names no image at all means one image, named like itself.
      (names.length > 0 || build.iso !== undefined ? names : [name]).map((qcow) => [
        qcow,
        {
          osconfig: osconfig.resolve(
            node.underOsconfig(mergeLayers([...osconfigLayers, ...inContext(qcows[qcow]?.osconfig, 'qcow')])),
          ),
          qcow: resolveQcow(qcow, mergeLayers([...builtIn('qcow'), ...(qcows[qcow]?.qcow ?? [])])),
          scripts: scripts.qcow,
        },
      ]),
    ),
    ...(iso && { iso }),
    bundle: resolveBundle(build),
    ...(build.store && { store: build.store }),
    bootTest: resolveBootTest(build, architecture, findings),
    executor: build.executor ?? { local: {} },
    whenMissing: build.whenMissing ?? 'Build',
  };
  const file = rootfs.multistrap?.findLast(({ values }) => values.k8s_version !== undefined)?.file;
  findings.push(...checkKubernetes(resolved).map((finding) => ({ ...finding, ...(file && { file }) })));
  findings.push(...node.check(resolved));
  findings.push(...checkExecutor(resolved.executor));
  if (findings.length > 0) throw new InvalidInputError(findings);
  return resolved;
}

const builtIn = (role: Parameters<typeof readRoleDefaults>[0]) => [{ values: readRoleDefaults(role) }];

const inContext = (layers: Layer[] | undefined, context: 'common' | 'qcow') =>
  (layers ?? []).map((layer) => ({ ...layer, values: withRunContexts(layer.values, context) }));

/** What templates can refer to though nobody has set it. */
function builtInScope(
  { packages, kernel_base_pkg, kernel_headers_pkg }: DistributionData,
  given: Scopes,
): Record<string, unknown> {
  const kubernetes = given.rootfs.kubernetes?.findLast(({ values }) => values.version !== undefined);
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
    ...(kubernetes && { k8s_version: kubernetes.values.version }),
  };
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
  const refuse = (message: string) => invalidInput(field, message);
  if (service === undefined) throw refuse(`${name} has no snapshot service`);
  if (build.mirror !== undefined)
    throw refuse('decides where packages come from, and so does spec.build.mirror; set only one of them');
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

function resolveAttest(
  {
    signature = true,
    provenance = true,
    sbom = true,
    bootTest,
  }: NonNullable<NonNullable<BuildSpec['bundle']>['attest']>,
  tested: BuildSpec['bootTest'],
) {
  return { signature, provenance, sbom, bootTest: bootTest ?? (tested?.timeout ?? 0) > 0 };
}

function resolveBundle({ bundle = {}, executor, bootTest }: BuildSpec): ResolvedBuild['bundle'] {
  // One that can change its meaning says nothing about what has built the images.
  const image = (executor?.container ?? executor?.kubernetes)?.image;
  const named = image?.includes('@') ? image : undefined;
  const {
    layout,
    archive,
    repository,
    push = true,
    disks = false,
    attest,
    base = 'function',
    builderImage = named,
    tag = 'latest',
  } = bundle;
  return {
    ...(layout !== undefined && { layout }),
    ...(archive !== undefined && { archive }),
    tag,
    ...(repository !== undefined && push && { repository }),
    disks,
    ...(attest && { attest: resolveAttest(attest, bootTest) }),
    base: base === 'function' || base === 'none' ? base : { image: base },
    ...(builderImage !== undefined && { builderImage }),
  };
}
