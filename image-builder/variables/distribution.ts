// The distributions: one data file each, distributions/<name>.yaml.
import { InvalidInputError } from '../diagnostics/error.ts';
import { defaults } from '../embedded/defaults.ts';

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
  kernel_base_pkg: Record<Architecture, string>;
  kernel_headers_pkg: Record<Architecture, string>;
  boot_packages: Record<'all' | Architecture, string[]>;
  packages: Record<'all' | Architecture, string[]>;
}

export const DEFAULT_DISTRIBUTION = 'debian-13';
const DIRECTORY = 'distributions/';

/** Names of the distributions there are. */
export const distributionNames = (): string[] =>
  Object.keys(defaults)
    .filter((path) => path.startsWith(DIRECTORY))
    .map((path) => path.slice(DIRECTORY.length, -'.yaml'.length));

/** The data are shared by all callers. @throws InvalidInputError when there is no such distribution. */
export function readDistribution(name: string): DistributionData {
  const path = `${DIRECTORY}${name}.yaml`;
  if (!Object.hasOwn(defaults, path)) {
    const names = distributionNames().join(', ');
    throw new InvalidInputError([
      {
        severity: 'error',
        field: 'spec.build.distribution',
        message: `no distribution "${name}"; there are ${names}`,
      },
    ]);
  }
  return defaults[path] as DistributionData;
}

/** The defaults of an Ansible role; shared by all callers. */
export function readRoleDefaults(
  role: 'multistrap' | 'osconfig' | 'livecdcontent' | 'qcow',
): Record<string, unknown> {
  const path = `ansible/roles/${role}/defaults/main.yaml`;
  if (!Object.hasOwn(defaults, path)) throw new Error(`${path} is not among the assets`);
  return defaults[path] as Record<string, unknown>;
}
