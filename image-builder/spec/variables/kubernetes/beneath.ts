// Lays the variables of a Kubernetes node below those that somebody has written. A list that somebody has replaced does
// not lose what a node needs; an item of theirs replaces the one of the same name.
import type { MultistrapVariables, OsconfigVariables } from '../../api/types.ts';
import { unitName } from '../osconfig.ts';
import { packageList } from '../package-list.ts';
import { nameOfRequest } from '../package-names.ts';
import type { NodeVariables } from './node.ts';

/** @param merged the variables of the role multistrap with every layer merged */
export function beneathMultistrap(
  merged: Record<string, unknown>,
  { k8s_version, packages, path_exclude, path_include, repos }: NodeVariables['multistrap'],
): Record<string, unknown> {
  const given = merged as MultistrapVariables;
  const own = packageList(given.packages);
  const requests = [...own, ...(given.repos ?? []).flatMap((repository) => packageList(repository.packages))];
  const taken = new Set([...requests, ...packageList(given.unapproved_packages)].map(nameOfRequest));
  const repositories = new Set((given.repos ?? []).map(({ name }) => name));
  return {
    ...merged,
    k8s_version: given.k8s_version ?? k8s_version,
    packages: [...own, ...packages.filter((request) => !taken.has(nameOfRequest(request)))],
    // A node works with and without them: what somebody writes is the whole of it.
    path_exclude: given.path_exclude ?? path_exclude,
    path_include: given.path_include ?? path_include,
    repos: [...(given.repos ?? []), ...repos.filter(({ name }) => !repositories.has(name))],
  };
}

/** What items of a list are told apart by. */
type Identity<Item> = (item: Item) => string | undefined;

const byName: Identity<{ name?: string }> = ({ name }) => name;
const byOption: Identity<{ name: string }> = ({ name }) => name.replace(/^-+/, '');
/** What is said of a unit itself, and each of its files. */
const byUnitFile: Identity<{ name: string; file_name?: string; override?: string }> = (unit) =>
  `${unitName(unit.name)}/${unit.file_name ?? (unit.override === undefined ? '' : 'override.conf')}`;

/** @param merged the variables of the role osconfig with every layer merged */
export function beneathOsconfig(
  merged: Record<string, unknown>,
  { kernel, kubelet, sysctl, files, systemd, user_scripts }: NodeVariables['osconfig'],
): Record<string, unknown> {
  const given = merged as OsconfigVariables;
  const modules = given.kernel?.modules;
  const load = below(kernel.modules?.load, modules?.load, byName);
  const args = below(kubelet?.extra_systemd_args, given.kubelet?.extra_systemd_args, byOption);
  return {
    ...merged,
    kernel: { ...given.kernel, modules: { ...modules, load } },
    kubelet: { ...given.kubelet, extra_systemd_args: args },
    sysctl: below(sysctl, given.sysctl, byName),
    files: below(files, given.files, byName),
    systemd: below(systemd, given.systemd, byUnitFile),
    user_scripts: below(user_scripts, given.user_scripts, byName),
  };
}

function below<Item>(
  node: readonly Item[] = [],
  given: readonly Item[] = [],
  identity: Identity<Item>,
): readonly Item[] {
  const taken = new Set(given.map(identity));
  return [...node.filter((item) => !taken.has(identity(item))), ...given];
}
