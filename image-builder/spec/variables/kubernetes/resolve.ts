// spec.build.kubernetes to the variables of a node, with what is wrong with it.
import type { Finding } from '../../../base/diagnostics/error.ts';
import { formatFieldPath } from '../../../base/diagnostics/field-path.ts';
import type { SpecFiles } from '../../../policy/spec-files.ts';
import type { KubernetesVariables, Repository } from '../../api/types.ts';
import type { DistributionData } from '../distribution.ts';
import { type Origins, originsOf } from '../origins.ts';
import { type Layer, mergeLayers } from '../overrides.ts';
import { packageList } from '../package-list.ts';
import { nameOfRequest } from '../package-names.ts';
import { checkRepositories, readKeyringFiles } from '../repositories.ts';
import type { ResolvedBuild } from '../resolved.ts';
import type { ResolvedKubernetes, ResolvedPreload } from '../resolved-kubernetes.ts';
import type { ResolvedLock } from '../resolved-lock.ts';
import type { Scope } from '../templates.ts';
import { withoutCredentials } from '../uri.ts';
import { toText } from '../values.ts';
import { inFile } from '../variable-files.ts';
import { beneathMultistrap, beneathOsconfig } from './beneath.ts';
import { endOfLifeOf, type KubernetesVersion, OLDEST_MINOR, parseVersion } from './minors.ts';
import { type NodeVariables, nodeVariables, REPOSITORY } from './node.ts';
import { resolvePreload } from './preload.ts';
import { checkNode } from './rules.ts';
import { chooseRuntime, requestedPackages, runtimeOf } from './runtime.ts';
import { checkRuntimes } from './runtime-findings.ts';

/** The variables of a node as the build goes on with it; without a block they are those that somebody has written. */
export interface KubernetesNode {
  /** What the build says of it. */
  resolved?: ResolvedKubernetes;
  /** The container images that its disks carry. */
  preload?: ResolvedPreload;
  /** @param merged the variables of the role multistrap with every layer merged */
  underMultistrap(merged: Record<string, unknown>): Record<string, unknown>;
  /** @param merged the variables of the role osconfig with every layer merged */
  underOsconfig(merged: Record<string, unknown>): Record<string, unknown>;
  underOrigins(given: Origins): Origins;
  /** What is wrong with the images as a node. */
  check(images: Pick<ResolvedBuild, 'rootfs' | 'qcows'>): Finding[];
}

const NO_NODE: KubernetesNode = {
  underMultistrap: (merged) => merged,
  underOsconfig: (merged) => merged,
  underOrigins: (given) => given,
  check: () => [],
};

const FIELD = ['spec', 'build', 'kubernetes'] as const;

/** Field of the block for each field of its repository. */
const REPOSITORY_FIELDS: Readonly<Record<string, string>> = {
  keyring: 'keyring',
  keyring_file: 'keyringFile',
  keyring_url: 'keyringURL',
  keyring_checksum: 'keyringChecksum',
};

/**
 * @param rootfs the checked layers that somebody has written: their k8s_version and their container runtime win
 * @param findings gets what is wrong with the block; then the result is of no use
 */
export async function resolveKubernetes(
  { kubernetes: layers = [], multistrap = [] }: Scope,
  distribution: DistributionData,
  files: SpecFiles,
  findings: Finding[],
  locked: { lock?: ResolvedLock | undefined; lockIsOptional?: boolean },
): Promise<KubernetesNode> {
  if (layers.length === 0) return NO_NODE;
  const block = mergeLayers(layers) as KubernetesVariables;
  const report = (field: string, message: string) => {
    const layer = layers.findLast(({ values }) => values[field] !== undefined) ?? layers.at(-1);
    const finding: Finding = { severity: 'error', field: formatFieldPath([...FIELD, field]), message };
    findings.push(layer ? inFile(finding, layer) : finding);
  };
  const version = versionOf(block, multistrap, report);
  if (version === undefined) return NO_NODE;
  const problem = sourceProblem(block, version);
  if (problem !== undefined) report('source', problem);
  const requests = requestsOf(multistrap);
  const { runtime: name = 'containerd' } = block;
  findings.push(...checkRuntimes(name, requests, version, distribution, originsOf(multistrap)));
  const runtime = chooseRuntime(name, version, distribution, requestedPackages(name, requests));
  const variables = nodeVariables(block, version, runtime);
  const repos = await withKeys(variables.multistrap.repos, files, report);
  const preload = resolvePreload(
    block,
    version,
    { ...locked, kubeadm: locked.lock?.packages.find(({ name }) => name === 'kubeadm')?.version },
    (message) => report('preload', message),
  );
  const endOfLife = endOfLifeOf(version);
  return {
    ...(preload && { preload }),
    resolved: { version: version.text, ...(endOfLife !== undefined && { endOfLife }) },
    underMultistrap: (merged) => beneathMultistrap(merged, { ...variables.multistrap, repos }),
    underOsconfig: (merged) => beneathOsconfig(merged, variables.osconfig),
    underOrigins: (given) => withOrigins(originsOfNode(variables, block), given),
    check: (images) => checkNode(version, block, distribution, images),
  };
}

const withOrigins = (below: Origins, above: Origins): Origins => ({
  repositories: { ...below.repositories, ...above.repositories },
  keys: { ...below.keys, ...above.keys },
  packages: { ...below.packages, ...above.packages },
});

/** Every package that somebody has asked for. */
const requestsOf = (layers: readonly Layer[]): string[] =>
  layers.flatMap(({ values }) => [
    ...['packages', 'packages_append', 'ubuntu_packages', 'ubuntu_packages_append'].flatMap((name) =>
      packageList(values[name]),
    ),
    ...['repos', 'repos_append'].flatMap((name) =>
      ((values[name] ?? []) as Repository[]).flatMap(({ packages }) => packageList(packages)),
    ),
  ]);

type ReportField = (field: string, message: string) => void;

function versionOf(
  block: KubernetesVariables,
  multistrap: readonly Layer[],
  report: ReportField,
): KubernetesVersion | undefined {
  const given = multistrap.findLast(({ values }) => values.k8s_version !== undefined)?.values.k8s_version;
  const written = given ?? block.version;
  if (written === undefined) {
    report('version', 'is missing, expected for example 1.37 or 1.37.2');
    return undefined;
  }
  const text = toText(written as string | number);
  const version = parseVersion(text);
  const where = given === undefined ? '' : ', as rootfs.multistrap.k8s_version says';
  if (version === undefined) report('version', `is ${text}${where}, expected for example 1.37 or 1.37.2`);
  else if (version.number < OLDEST_MINOR) {
    report(
      'version',
      `is ${text}${where}, expected 1.${OLDEST_MINOR} or newer\nhint: what an older version needs is not known here: name its packages and repository by rootfs.multistrap, as the profiles of those versions do`,
    );
    return undefined;
  }
  return version;
}

/** pkgs.k8s.io and its mirrors have one minor in each repository. */
function sourceProblem({ source = [] }: KubernetesVariables, { minor, text }: KubernetesVersion) {
  for (const uri of [source].flat()) {
    const [, has] = /:\/v(\d+\.\d+)(?:\/|$)/.exec(uri) ?? [];
    if (has !== undefined && has !== minor) {
      return `is ${withoutCredentials(uri)}, the repository of ${has}, expected that of ${minor}: the version is ${text}`;
    }
  }
  return undefined;
}

/** The repositories with what their `keyring_file` holds, checked as those that stand in a spec. */
async function withKeys(repos: Repository[], files: SpecFiles, report: ReportField): Promise<Repository[]> {
  const layer: Layer = { values: { repos_append: repos }, field: [] };
  const found: Finding[] = checkRepositories(layer, () => false);
  const { values } = await readKeyringFiles(layer, files, found);
  for (const { field = '', message } of found) {
    const own = REPOSITORY_FIELDS[field.split('.').at(-1) ?? ''];
    report(own ?? 'source', message);
  }
  return values.repos_append as Repository[];
}

function originsOfNode({ multistrap }: NodeVariables, block: KubernetesVariables): Origins {
  const at = (field: string) => formatFieldPath([...FIELD, field]);
  return {
    repositories: Object.fromEntries(
      multistrap.repos.map(({ name }) => [name, at(name === REPOSITORY ? 'source' : 'runtime')]),
    ),
    keys: {
      [REPOSITORY]: at(
        Object.values(REPOSITORY_FIELDS).find((field) => field in block && field !== 'keyringChecksum') ??
          'source',
      ),
    },
    packages: Object.fromEntries(
      multistrap.packages.map((request) => [
        nameOfRequest(request),
        at(runtimeOf(nameOfRequest(request)) ? 'runtime' : 'version'),
      ]),
    ),
  };
}
