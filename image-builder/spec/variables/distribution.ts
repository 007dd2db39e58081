// The distributions: one data file each, distributions/<name>.yaml.
import { invalidInput } from '../../base/diagnostics/error.ts';
import { defaults } from '../../embedded/defaults.ts';

type Architecture = 'amd64' | 'arm64';

/** A data file of distributions/, as it is written. */
export interface DistributionData {
  family: 'debian' | 'ubuntu';
  codename: string;
  /** As os-release has it: `13`, `24.04`. */
  version: string;
  /** Public mirror, for machines whose apt knows none. */
  mirror: Record<Architecture, string>;
  keyring: { package: string; path: string };
  repos: { name: string; suite: string; components: string[]; source?: string }[];
  /** Base URIs of a snapshot service, with SNAPSHOT for the date; absent: there is none. */
  snapshot?: { archive: string; security?: string };
  /** What `non_free_firmware` adds: components of the archive, and packages. */
  firmware: { components: string[]; packages: Record<Architecture, string[]> };
  /** The suite that `backports` adds. */
  backports: string;
  /** Version of its package containerd, as far as it decides what it can be used for; absent: it changes. */
  containerd?: string;
  /** The hierarchy of control groups that its systemd mounts; default 2. */
  cgroup_version?: 1 | 2;
  kernel_base_pkg: Record<Architecture, string>;
  kernel_headers_pkg: Record<Architecture, string>;
  boot_packages: Record<'all' | Architecture, string[]>;
  packages: Record<'all' | Architecture, string[]>;
}

export const DEFAULT_DISTRIBUTION = 'debian-13';
const DIRECTORY = 'spec/distributions/';

/** Names of the distributions there are. */
export const distributionNames = (): string[] =>
  Object.keys(defaults)
    .filter((path) => path.startsWith(DIRECTORY))
    .map((path) => path.slice(DIRECTORY.length, -'.yaml'.length));

/**
 * @param given a name such as `debian-13`, or as the predecessor writes it: `ubuntu_focal`.
 * @returns the distribution with its name; the data are shared by all callers
 * @throws InvalidInputError when there is no such distribution.
 */
export function readDistribution(given: string): { name: string; data: DistributionData } {
  const names = distributionNames();
  for (const name of names.includes(given) ? [given] : names) {
    const data = defaults[`${DIRECTORY}${name}.yaml`] as DistributionData;
    if (name === given || `${data.family}_${data.codename}` === given) return { name, data };
  }
  throw invalidInput('spec.build.distribution', `no distribution "${given}"; available: ${names.join(', ')}`);
}

/** The defaults of an Ansible role; shared by all callers. */
export function readRoleDefaults(
  role: 'multistrap' | 'osconfig' | 'livecdcontent' | 'qcow',
): Record<string, unknown> {
  const path = `stages/osconfig/ansible/roles/${role}/defaults/main.yaml`;
  if (!Object.hasOwn(defaults, path)) throw new Error(`${path} is not among the assets`);
  return defaults[path] as Record<string, unknown>;
}
