// The variables of the role osconfig with every default of their items filled in.
import type { OsconfigVariables } from '../spec/types.ts';
import type {
  NameAndValue,
  ResolvedFilePermission,
  ResolvedOsconfig,
  ResolvedScript,
  RunContext,
} from './types.ts';
import { defined, toBoolean, toNumber, toText } from './values.ts';

/** The lists whose items say in which contexts they run. */
export const CONTEXT_LISTS = [
  'directories',
  'files',
  'systemd',
  'user_scripts',
  'file_permissions',
  'user_management',
  'fetch_from_url',
] as const;

/**
 * Gives each item of `values` that does not say where it runs the context of the place where it stands; also in the
 * `_append` lists. Before merging, since afterwards nobody knows where an item came from.
 */
export function withRunContexts(
  values: Record<string, unknown>,
  context: RunContext,
): Record<string, unknown> {
  const names = new Set<string>(CONTEXT_LISTS.flatMap((name) => [name, `${name}_append`]));
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      names.has(name) && Array.isArray(value)
        ? value.map((item) => ({ ...item, run_contexts: item.run_contexts ?? [context] }))
        : value,
    ]),
  );
}

type Items = { [List in (typeof CONTEXT_LISTS)[number]]: NonNullable<OsconfigVariables[List]>[number] };

/**
 * Resolves the variables of images that share most of their lists: a list that was met before gives the same object
 * again, so that fifty images cost little more than one.
 */
export class OsconfigResolver {
  /** Resolved lists by the name of their variable. */
  readonly #known = new Map<string, WeakMap<readonly object[], unknown>>();

  /** @param merged the merged, validated variables: defaults at the bottom, so that nothing is missing. */
  resolve(merged: Record<string, unknown>): ResolvedOsconfig {
    const variables = merged as OsconfigVariables & Record<string, never>;
    const grub = variables.grub ?? {};
    return {
      kernel: {
        modules: {
          load: variables.kernel?.modules?.load ?? [],
          blacklist: variables.kernel?.modules?.blacklist ?? [],
        },
      },
      banners: { login: variables.banners?.login ?? '', motd: variables.banners?.motd ?? '' },
      kubelet: {
        extra_systemd_args: this.#each('kubelet', variables.kubelet?.extra_systemd_args, nameAndValue),
      },
      grub: {
        GRUB_TIMEOUT: toNumber(grub.GRUB_TIMEOUT ?? 5),
        GRUB_CMDLINE_LINUX_DEFAULT: this.#each('grub', grub.GRUB_CMDLINE_LINUX_DEFAULT, nameAndValue),
        GRUB_SERIAL_COMMAND: grub.GRUB_SERIAL_COMMAND ?? '',
      },
      kdump_tools: { crashkernel: variables.kdump_tools?.crashkernel ?? '' },
      limits: this.#each('limits', variables.limits, (limit) => ({ ...limit, value: toText(limit.value) })),
      sysctl: this.#each('sysctl', variables.sysctl, ({ name, value }) => ({ name, value: toText(value) })),
      directories: this.#each('directories', variables.directories, (item) => ({
        name: item.name,
        ...ownership(item, '0755'),
        ...contexts(item),
      })),
      files: this.#each('files', variables.files, (item) => ({
        name: item.name,
        file_content: item.file_content,
        ...ownership(item, '0644'),
        ...contexts(item),
      })),
      systemd: this.#each('systemd', variables.systemd, systemdUnit),
      user_scripts: this.#each('user_scripts', variables.user_scripts, resolveScript),
      file_permissions: this.#each('file_permissions', variables.file_permissions, filePermission),
      user_management: this.#each('user_management', variables.user_management, user),
      fetch_from_url: this.#each('fetch_from_url', variables.fetch_from_url, (item) => ({
        url: item.url,
        dest: item.dest,
        use_proxy: toBoolean(item.use_proxy ?? true),
        ...(item.checksum === undefined ? {} : { checksum: item.checksum }),
        ...ownership(item, '0644'),
        ...contexts(item),
      })),
    };
  }

  #each<Item extends object, Resolved>(
    variable: string,
    items: readonly Item[] = [],
    resolve: (item: Item, index: number) => Resolved,
  ): Resolved[] {
    const known = this.#known.get(variable) ?? new WeakMap<readonly object[], unknown>();
    this.#known.set(variable, known);
    const resolved = (known.get(items) as Resolved[] | undefined) ?? items.map(resolve);
    known.set(items, resolved);
    return resolved;
  }
}

/** A script with the name that the log shows. */
export function resolveScript(item: Items['user_scripts'], index: number): ResolvedScript {
  return { name: item.name ?? `script-${index + 1}`, file_content: item.file_content, ...contexts(item) };
}

const contexts = (item: { run_contexts?: RunContext[] }) => ({
  run_contexts: item.run_contexts ?? ['common'],
});

const ownership = (item: { owner?: string; group?: string; permissions?: string }, permissions: string) => ({
  owner: item.owner ?? 'root',
  group: item.group ?? 'root',
  permissions: item.permissions ?? permissions,
});

const nameAndValue = (item: { name: string; value?: string | number | boolean }): NameAndValue =>
  item.value === undefined ? { name: item.name } : { name: item.name, value: toText(item.value) };

function systemdUnit(item: Items['systemd']): ResolvedOsconfig['systemd'][number] {
  return defined({
    ...item,
    name: /\.[a-z]+$/.test(item.name) ? item.name : `${item.name}.service`,
    enabled: item.enabled === undefined ? undefined : toBoolean(item.enabled),
    masked: item.masked === undefined ? undefined : toBoolean(item.masked),
    ...contexts(item),
  });
}

function filePermission(item: Items['file_permissions']): ResolvedFilePermission {
  return { ...item, recurse: toBoolean(item.recurse ?? false), ...contexts(item) };
}

function user(item: Items['user_management']): ResolvedOsconfig['user_management'][number] {
  return defined({
    ...item,
    state: item.state ?? 'present',
    uid: item.uid === undefined ? undefined : toNumber(item.uid),
    groups: item.groups ?? [],
    system: toBoolean(item.system ?? false),
    ssh_authorized_keys: item.ssh_authorized_keys ?? [],
    ...contexts(item),
  });
}
