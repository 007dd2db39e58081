// Repositories as apt reads them, and the pins that keep packages out. Pure.
import { nameOfRequest } from '../../spec/variables/package-names.ts';
import type { ResolvedDistribution } from '../../spec/variables/resolved.ts';
import type { ResolvedMultistrap, ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';

/**
 * A deb822 source (sources.list(5)).
 * @param key absolute path of the keyring, as the apt that reads it sees it.
 */
export function renderSource(repository: ResolvedRepository, architecture: string, key: string): string {
  const fields = [
    ['Types', repository.omitdebsrc ? 'deb' : 'deb deb-src'],
    ['URIs', repository.source],
    ['Suites', repository.suite],
    ['Components', repository.components.join(' ')],
    ['Architectures', architecture],
    ['Check-Valid-Until', repository.check_valid_until === false ? 'no' : ''],
    ['Signed-By', key],
  ];
  return fields
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

/** Preferences (apt_preferences(5)) that forbid packages in every version. */
export function renderPins(unapproved: readonly string[]): string {
  if (unapproved.length === 0) return '';
  return `Explanation: unapproved_packages of the image\nPackage: ${unapproved.join(' ')}\nPin: version *\nPin-Priority: -1\n`;
}

/** Every package that is asked for by name, each once. */
export function requestedPackages(multistrap: ResolvedMultistrap, bootPackages: readonly string[]): string[] {
  const { kernel_base_pkg, kernel_headers_pkg, packages, repos } = multistrap;
  const names = [
    kernel_base_pkg,
    kernel_headers_pkg,
    ...bootPackages,
    ...packages,
    ...repos.flatMap((repository) => repository.packages),
  ].filter((name) => name !== '');
  // `vim` and `vim=2:9.1` are one request, the latter.
  const pinned = new Set(names.filter((name) => /[=/]/.test(name)).map(nameOfRequest));
  return [...new Set(names)].filter((name) => !pinned.has(name)).sort();
}

/**
 * Those of the requested packages that the base of an image is made of: the kernel and what every image needs to boot, and
 * what is requested of the distribution's default list, if that is most of it. An image with a short list of its own gains
 * little by having some of it in the base, and would get another base whenever one of these is added or removed.
 */
export function requestedOfBase(
  requested: readonly string[],
  { kernel_base_pkg, kernel_headers_pkg }: Pick<ResolvedMultistrap, 'kernel_base_pkg' | 'kernel_headers_pkg'>,
  { boot_packages, default_packages }: Pick<ResolvedDistribution, 'boot_packages' | 'default_packages'>,
): string[] {
  const namesOf = (requests: readonly string[]) => new Set(requests.map(nameOfRequest));
  const [all, defaults] = [namesOf(requested), namesOf(default_packages)];
  const shared = [...defaults].filter((name) => all.has(name));
  const known = namesOf([kernel_base_pkg, kernel_headers_pkg, ...boot_packages]);
  if (shared.length * 2 >= defaults.size) for (const name of shared) known.add(name);
  return requested.filter((request) => known.has(nameOfRequest(request)));
}

/** systemd.link(5): how network interfaces are named. Replaces systemd's own file of that name. */
export function renderLinkFile({
  systemd_nic_names_policy: names,
  systemd_nic_alternative_names_policy: alternatives,
}: Pick<ResolvedMultistrap, 'systemd_nic_names_policy' | 'systemd_nic_alternative_names_policy'>): string {
  return [
    '[Match]',
    'OriginalName=*',
    '',
    '[Link]',
    ...(names === '' ? [] : [`NamePolicy=${names}`]),
    ...(alternatives === '' ? [] : [`AlternativeNamesPolicy=${alternatives}`]),
    'MACAddressPolicy=persistent',
    '',
  ].join('\n');
}
