// The distributions: one data file each, distributions/<name>.yaml.
import { parse } from 'yaml';
import { InvalidInputError } from '../diagnostics/error.ts';
import { assets } from '../embedded/assets.ts';

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
  assets
    .filter(({ path }) => path.startsWith(DIRECTORY) && path.endsWith('.yaml'))
    .map(({ path }) => path.slice(DIRECTORY.length, -'.yaml'.length));

/** @throws InvalidInputError when there is no such distribution. */
export function readDistribution(name: string): DistributionData {
  const file = assets.find(({ path }) => path === `${DIRECTORY}${name}.yaml`);
  if (file === undefined) {
    const names = distributionNames().join(', ');
    throw new InvalidInputError([
      {
        severity: 'error',
        field: 'spec.build.distribution',
        message: `no distribution "${name}"; there are ${names}`,
      },
    ]);
  }
  return parse(file.content) as DistributionData;
}

/** The defaults of an Ansible role. */
export function readRoleDefaults(
  role: 'multistrap' | 'osconfig' | 'livecdcontent' | 'qcow',
): Record<string, unknown> {
  const path = `ansible/roles/${role}/defaults/main.yaml`;
  const file = assets.find((asset) => asset.path === path);
  if (file === undefined) throw new Error(`${path} is not among the assets`);
  return parse(file.content) as Record<string, unknown>;
}
