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

/** @param merged the merged, validated variables: defaults at the bottom, so that nothing is missing. */
export function resolveOsconfig(merged: Record<string, unknown>): ResolvedOsconfig {
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
    kubelet: { extra_systemd_args: (variables.kubelet?.extra_systemd_args ?? []).map(nameAndValue) },
    grub: {
      GRUB_TIMEOUT: toNumber(grub.GRUB_TIMEOUT ?? 5),
      GRUB_CMDLINE_LINUX_DEFAULT: (grub.GRUB_CMDLINE_LINUX_DEFAULT ?? []).map(nameAndValue),
      GRUB_SERIAL_COMMAND: grub.GRUB_SERIAL_COMMAND ?? '',
    },
    kdump_tools: { crashkernel: variables.kdump_tools?.crashkernel ?? '' },
    limits: (variables.limits ?? []).map((limit) => ({ ...limit, value: toText(limit.value) })),
    sysctl: (variables.sysctl ?? []).map(({ name, value }) => ({ name, value: toText(value) })),
    directories: (variables.directories ?? []).map((item) => ({
      name: item.name,
      ...ownership(item, '0755'),
      ...contexts(item),
    })),
    files: (variables.files ?? []).map((item) => ({
      name: item.name,
      file_content: item.file_content,
      ...ownership(item, '0644'),
      ...contexts(item),
    })),
    systemd: (variables.systemd ?? []).map(systemdUnit),
    user_scripts: (variables.user_scripts ?? []).map(resolveScript),
    file_permissions: (variables.file_permissions ?? []).map(filePermission),
    user_management: (variables.user_management ?? []).map(user),
    fetch_from_url: (variables.fetch_from_url ?? []).map((item) => ({
      url: item.url,
      dest: item.dest,
      use_proxy: toBoolean(item.use_proxy ?? true),
      ...(item.checksum === undefined ? {} : { checksum: item.checksum }),
      ...ownership(item, '0644'),
      ...contexts(item),
    })),
  };
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
