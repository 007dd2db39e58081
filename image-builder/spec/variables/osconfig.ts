// The variables of the role osconfig with every default of their items filled in.
import { posix } from 'node:path';
import type { OsconfigVariables } from '../api/types.ts';
import type {
  NameAndValue,
  Ownership,
  ResolvedFilePermission,
  ResolvedOsconfig,
  ResolvedScript,
  RunContext,
} from './resolved-osconfig.ts';
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
          load: this.#each('load', variables.kernel?.modules?.load, ({ name, args }) =>
            args === undefined ? { name } : { name, args: toText(args) },
          ),
          blacklist: variables.kernel?.modules?.blacklist ?? [],
        },
      },
      banners: { login: variables.banners?.login ?? '', motd: variables.banners?.motd ?? '' },
      kubelet: {
        extra_systemd_args: this.#each('kubelet', variables.kubelet?.extra_systemd_args, nameAndValue),
      },
      grub: {
        GRUB_TIMEOUT: toNumber(grub.GRUB_TIMEOUT ?? 5),
        GRUB_CMDLINE_LINUX_DEFAULT: this.#once('grub', grub.GRUB_CMDLINE_LINUX_DEFAULT, (items) =>
          withoutRepeats(items.map(nameAndValue)),
        ),
        GRUB_SERIAL_COMMAND: serialCommand(grub.GRUB_SERIAL_COMMAND ?? ''),
      },
      kdump_tools: { crashkernel: variables.kdump_tools?.crashkernel ?? '' },
      limits: this.#each('limits', variables.limits, (limit) => ({ ...limit, value: toText(limit.value) })),
      sysctl: this.#each('sysctl', variables.sysctl, ({ name, value }) => ({
        name,
        value: sysctlValue(value),
      })),
      directories: this.#each('directories', variables.directories, (item) => ({
        name: item.name,
        ...ownership(item, '0755'),
        ...contexts(item),
      })),
      files: this.#each('files', variables.files, (item) => ({
        name: item.name,
        file_content: toText(item.file_content),
        ...ownership(item, '0644'),
        ...contexts(item),
      })),
      systemd: this.#each('systemd', variables.systemd, systemdUnit),
      user_scripts: this.#each('user_scripts', variables.user_scripts, resolveScript),
      file_permissions: this.#each('file_permissions', variables.file_permissions, filePermission),
      user_management: this.#each('user_management', variables.user_management, user),
      fetch_from_url: this.#each('fetch_from_url', variables.fetch_from_url, (item) => ({
        url: item.url,
        dest: item.dest ?? downloadFor(item.url),
        use_proxy: toBoolean(item.use_proxy ?? true),
        ...(item.checksum === undefined ? {} : { checksum: item.checksum }),
        ...ownership(item, '0644'),
        ...contexts(item),
      })),
    };
  }

  #each<Item extends object, Resolved>(
    variable: string,
    items: readonly Item[] | undefined,
    resolve: (item: Item, index: number) => Resolved,
  ): Resolved[] {
    return this.#once(variable, items, (list) => list.map(resolve));
  }

  #once<Item extends object, Resolved>(
    variable: string,
    items: readonly Item[] = [],
    resolve: (items: readonly Item[]) => Resolved[],
  ): Resolved[] {
    const known = this.#known.get(variable) ?? new WeakMap<readonly object[], unknown>();
    this.#known.set(variable, known);
    const resolved = (known.get(items) as Resolved[] | undefined) ?? resolve(items);
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

interface GivenOwnership {
  owner?: string | number;
  group?: string | number;
  permissions?: string;
}

const ownership = ({ owner, group, permissions }: GivenOwnership, usual: string): Ownership => ({
  owner: toText(owner ?? 'root'),
  group: toText(group ?? 'root'),
  permissions: toMode(permissions ?? usual),
});

/** `0o755` → `0755`. */
const toMode = (text: string): string => text.replace(/^0o/, '0');

/** Where the predecessor puts what has no place of its own, for the scripts; it is gone when they have run. */
const DOWNLOADS = '/tmp/url_resources';

function downloadFor(url: string): string {
  const path = url.replace(/^https?:\/\/[^/?#]*/, '').replace(/[?#].*/, '');
  return `${DOWNLOADS}/${posix.basename(path) || 'index.html'}`;
}

/** As Ansible's module sysctl, which has written these words for the predecessor. */
function sysctlValue(value: string | number | boolean): string {
  const text = toText(value);
  if (/^(true|yes|on)$/i.test(text)) return '1';
  return /^(false|no|off)$/i.test(text) ? '0' : text;
}

/** GRUB's command of a list of its options. */
function serialCommand(given: string | { name: string; value?: string | number }[]): string {
  if (typeof given === 'string') return given;
  const options = given.map(({ name, value }) => {
    if (value === undefined) return `--${name}`;
    // The predecessor's default is a kernel console, ttyS0,115200n8, which GRUB does not understand.
    const text = name === 'speed' ? (/(?:^|,)([0-9]+)/.exec(toText(value))?.[1] ?? value) : value;
    return `--${name}=${text}`;
  });
  return options.length === 0 ? '' : ['serial', ...options].join(' ');
}

const nameAndValue = (item: { name: string; value?: string | number | boolean }): NameAndValue =>
  item.value === undefined ? { name: item.name } : { name: item.name, value: toText(item.value) };

/** Their meaning depends on what stands before them: the size of the pages that are set aside next. */
const POSITIONAL = new Set(['hugepagesz', 'hugepages']);

/** The last of equal arguments only: for consoles the last one decides, and for all others the place is the same. */
function withoutRepeats(args: readonly NameAndValue[]): NameAndValue[] {
  const last = new Map(args.map(({ name, value }, index) => [JSON.stringify([name, value]), index]));
  return args.filter(
    ({ name, value }, index) => POSITIONAL.has(name) || last.get(JSON.stringify([name, value])) === index,
  );
}

function systemdUnit(item: Items['systemd']): ResolvedOsconfig['systemd'][number] {
  return defined({
    ...item,
    name: unitName(item.name),
    force: item.force === undefined ? undefined : toBoolean(item.force),
    enabled: item.enabled === undefined ? undefined : toBoolean(item.enabled),
    masked: item.masked === undefined ? undefined : toBoolean(item.masked),
    ...contexts(item),
  });
}

/** Kinds of units, systemd.unit(5). */
const UNIT = /\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/;

/** `node.exporter` is a service, as it is for systemctl. */
export const unitName = (name: string): string => (UNIT.test(name) ? name : `${name}.service`);

function filePermission(item: Items['file_permissions']): ResolvedFilePermission {
  const { name, owner, group, permissions, recurse = false } = item;
  return {
    name,
    ...defined({
      owner: owner === undefined ? undefined : toText(owner),
      group: group === undefined ? undefined : toText(group),
      permissions: permissions === undefined ? undefined : toMode(permissions),
    }),
    recurse: toBoolean(recurse),
    ...contexts(item),
  };
}

function user({ password, ...item }: Items['user_management']): ResolvedOsconfig['user_management'][number] {
  return defined({
    ...item,
    password_hash: item.password_hash ?? (password || undefined),
    password_lock: item.password_lock === undefined ? undefined : toBoolean(item.password_lock),
    group: item.group === undefined ? undefined : toText(item.group),
    state: item.state ?? 'present',
    uid: item.uid === undefined ? undefined : toNumber(item.uid),
    groups: (item.groups ?? []).map(toText),
    system: toBoolean(item.system ?? false),
    ssh_authorized_keys: item.ssh_authorized_keys ?? [],
    ...contexts(item),
  });
}
