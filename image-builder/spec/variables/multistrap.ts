// The variables of the role multistrap with the distribution's defaults filled in: packages and repositories.
import type { MultistrapVariables, Repository } from '../api/types.ts';
import type { DistributionData } from './distribution.ts';
import type { ChosenMirrors } from './mirror.ts';
import { packageList } from './package-list.ts';
import { nameOfRequest } from './package-names.ts';
import type { ResolvedMultistrap, ResolvedRepository } from './resolved-multistrap.ts';
import { withoutCredentials } from './uri.ts';
import { defined, toBoolean, toNumber, toText } from './values.ts';

/** Variables that change what the distribution's own repositories are. */
export interface ArchiveChoices {
  snapshot?: string;
  non_free_firmware: boolean;
  backports: boolean;
}

/** Those choices among the merged variables of the user. */
export function archiveChoices(merged: Record<string, unknown>): ArchiveChoices {
  const { snapshot, non_free_firmware = false, backports = false } = merged as MultistrapVariables;
  return {
    ...defined({ snapshot }),
    non_free_firmware: toBoolean(non_free_firmware),
    backports: toBoolean(backports),
  };
}

/** What a distribution says about the variables of the role; the bottom layer over the role's own defaults. */
export function distributionDefaults(
  distribution: DistributionData,
  architecture: 'amd64' | 'arm64',
  mirrors: ChosenMirrors,
  { snapshot, non_free_firmware, backports }: ArchiveChoices,
): MultistrapVariables {
  const [main] = distribution.repos;
  const repos = [
    ...distribution.repos,
    ...(backports && main ? [{ ...main, name: distribution.backports, suite: distribution.backports }] : []),
  ];
  const firmware = non_free_firmware ? distribution.firmware.components : [];
  return {
    packages: [...distribution.packages.all, ...distribution.packages[architecture]],
    kernel_base_pkg: distribution.kernel_base_pkg[architecture],
    repos: repos.flatMap(({ name, suite, components, source }) => {
      // A source of its own is that of the security updates; a machine that has a mirror but none of those has
      // decided to do without.
      const mirror = source === undefined ? mirrors.archive : mirrors.security;
      return mirror === undefined
        ? []
        : [
            {
              name,
              suite,
              components: [...components, ...firmware].join(' '),
              source: mirror.source,
              keyring_pkg: distribution.keyring.package,
              // What the service has kept has expired.
              ...(snapshot !== undefined && { check_valid_until: false }),
            },
          ];
    }),
  };
}

/**
 * @param merged the merged, validated variables.
 * @param ownPackages whether the user has named the packages: then the distribution's headers are not added.
 */
export function resolveMultistrap(
  merged: Record<string, unknown>,
  distribution: DistributionData,
  ownPackages: boolean,
): ResolvedMultistrap {
  const variables = merged as MultistrapVariables;
  const architecture = variables.rootfs_arch ?? 'amd64';
  const headers = ownPackages ? '' : distribution.kernel_headers_pkg[architecture];
  const repos = withKnownKeys(variables.repos ?? [], distribution).map(resolveRepository);
  const choices = archiveChoices(merged);
  const firmware = choices.non_free_firmware ? distribution.firmware.packages[architecture] : [];
  const packages = [...new Set([...packageList(variables.packages), ...firmware])];
  return {
    rootfs_arch: architecture,
    ...defined({ k8s_version: variables.k8s_version }),
    kernel_base_pkg: variables.kernel_base_pkg ?? distribution.kernel_base_pkg[architecture],
    kernel_headers_pkg: variables.kernel_headers_pkg ?? headers,
    systemd_nic_names_policy: variables.systemd_nic_names_policy ?? '',
    systemd_nic_alternative_names_policy: variables.systemd_nic_alternative_names_policy ?? '',
    multistrap_retries: toNumber(variables.multistrap_retries ?? 0),
    multistrap_retries_delay: toNumber(variables.multistrap_retries_delay ?? 0),
    packages: ownPackages ? packages : withOneRuntime(packages, repos),
    unapproved_packages: packageList(variables.unapproved_packages),
    path_exclude: [...(variables.path_exclude ?? [])],
    path_include: [...(variables.path_include ?? [])],
    debconf: (variables.debconf ?? []).map((selection) => ({ ...selection, value: toText(selection.value) })),
    ...choices,
    repos,
  } as ResolvedMultistrap;
}

/** Hosts of the archives that the keyring of a distribution signs. */
const ARCHIVES = { debian: /(^|\.)debian\.org$/, ubuntu: /(^|\.)ubuntu\.com$/ };

/** Whether a repository is the distribution's own, by where it lies. */
export function isOfDistribution(
  { source }: Pick<Repository, 'source'>,
  distribution: DistributionData,
  mirrors: ChosenMirrors,
): boolean {
  const known = [mirrors.archive, mirrors.security].flatMap((mirror) => mirror?.from ?? []);
  return sourcesOf(source).every((uri) => {
    const host = /^[a-z+]+:\/\/(?:[^@/]*@)?([^/:]+)/.exec(uri)?.[1] ?? '';
    return known.includes(uri) || ARCHIVES[distribution.family].test(host);
  });
}

/**
 * A repository that names no key has that of another one of the same source, as for the suites of one archive, and
 * otherwise that of the distribution: the check of the variables has made sure that it is one of those.
 */
function withKnownKeys(repos: readonly Repository[], { keyring }: DistributionData): Repository[] {
  return repos.map((repository) => {
    if (keyOf(repository)) return repository;
    const [source] = sourcesOf(repository.source);
    const sibling = repos.find((other) => sourcesOf(other.source)[0] === source && keyOf(other));
    return { ...repository, ...(sibling ? keyOf(sibling) : { keyring_pkg: keyring.package }) };
  });
}

/** The fields of a repository that say what it is signed with; undefined when there are none. */
function keyOf({ keyring, keyring_pkg, keyring_url, keyring_checksum }: Repository) {
  const key = defined({ keyring, keyring_pkg, keyring_url, keyring_checksum });
  return Object.keys(key).length === 0 ? undefined : key;
}

/** Brought by Docker's and by Kubernetes' repositories; the first conflicts with Debian's package `containerd`. */
const VENDOR_RUNTIMES = ['containerd.io', 'cri-o'];

/** The default list without the distribution's container runtime when somebody names another one. */
function withOneRuntime(packages: string[], repos: readonly ResolvedRepository[]): string[] {
  const names = [...packages, ...repos.flatMap((repository) => repository.packages)];
  const isVendors = names.some((name) => VENDOR_RUNTIMES.includes(nameOfRequest(name)));
  return isVendors ? packages.filter((name) => name !== 'containerd') : packages;
}

function resolveRepository(repository: Repository): ResolvedRepository {
  const { keyring_pkg, keyring_url, keyring_checksum, keyring } = repository;
  return {
    name: repository.name,
    source: withoutCredentials(sourcesOf(repository.source)[0] ?? ''),
    suite: repository.suite,
    components: (repository.components ?? '').split(/\s+/).filter((component) => component !== ''),
    packages: packageList(repository.packages),
    omitdebsrc: toBoolean(repository.omitdebsrc ?? true),
    register_repo_with_rootfs: toBoolean(repository.register_repo_with_rootfs ?? true),
    ...(!toBoolean(repository.check_valid_until ?? true) && { check_valid_until: false }),
    ...defined({ keyring_pkg, keyring_url, keyring_checksum, keyring }),
  } as ResolvedRepository;
}

/**
 * Where each of the repositories is fetched from, by name.
 * @param merged the merged, validated variables
 */
export function repositorySources(
  merged: Record<string, unknown>,
  mirrors: ChosenMirrors,
): Record<string, string[]> {
  const { repos = [] } = merged as MultistrapVariables;
  return Object.fromEntries(
    repos.map(({ name, source }) => {
      const given = sourcesOf(source);
      const mirror = [mirrors.archive, mirrors.security].find((known) => known?.source === given[0]);
      return [name, given.length === 1 && mirror ? mirror.from : given];
    }),
  );
}

/** One base URI or several, without trailing slashes, each once. */
export const sourcesOf = (source: string | string[]): string[] => [
  ...new Set([source].flat().map((uri) => uri.replace(/\/+$/, ''))),
];
