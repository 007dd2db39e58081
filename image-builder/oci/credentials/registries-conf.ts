// Mirrors and insecure registries, from containers-registries.conf(5) version 2: the file that podman, skopeo, buildah and
// CRI-O share, so that nobody has to repeat their mirrors for us. Keys that we have no use for are ignored.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { type Endpoint, endpointAt, primaryEndpoint } from '../distribution/endpoint.ts';
import { RegistryError } from '../http/registry-error.ts';
import { isRegistryHost, type RegistryReference } from '../reference.ts';

/** A `[[registry]]` table. */
interface RegistryTable {
  /** `host`, `host/namespace`, or `*.host`. */
  prefix: string;
  /** Where the prefix is really served. */
  location: string;
  insecure: boolean;
  blocked: boolean;
  mirrors: { location: string; insecure: boolean; pull: 'all' | 'digest-only' | 'tag-only' }[];
  /** Mirrors serve digests only. */
  mirrorByDigestOnly: boolean;
}

/**
 * The places to ask for a repository: mirrors first, the registry itself last.
 * @throws RegistryError CONFIGURATION for a file that cannot be parsed, DENIED for a blocked registry
 */
export async function endpointsFor(
  reference: RegistryReference,
  insecure: boolean,
  environment: Env,
): Promise<Endpoint[]> {
  const name = `${reference.registry}/${reference.repository}`;
  const table = longestMatch(await loadTables(environment), name);
  if (!table) return [primaryEndpoint(reference, insecure)];
  if (table.blocked) {
    throw new RegistryError('DENIED', `registries.conf blocks ${table.prefix}`, {
      hint: 'Ask whoever administers this machine.',
    });
  }
  const rest = table.prefix.startsWith('*.') ? undefined : name.slice(table.prefix.length);
  const mirrors = table.mirrors
    .filter(({ pull }) => pull !== 'tag-only' || reference.digest === undefined)
    .map((mirror) => ({
      ...at(mirror.location + (rest ?? `/${reference.repository}`), mirror.insecure),
      mirror: true,
      digestsOnly: table.mirrorByDigestOnly || mirror.pull === 'digest-only',
    }));
  const primary =
    rest === undefined || table.location === table.prefix
      ? primaryEndpoint(reference, insecure || table.insecure)
      : at(table.location + rest, insecure || table.insecure);
  return [...mirrors, primary];
}

function at(name: string, insecure: boolean): Endpoint {
  const slash = name.indexOf('/');
  return endpointAt(name.slice(0, slash), name.slice(slash + 1), insecure);
}

function longestMatch(tables: RegistryTable[], name: string): RegistryTable | undefined {
  const matching = tables.filter(({ prefix }) => {
    if (prefix.startsWith('*.')) return name.slice(0, name.indexOf('/')).endsWith(prefix.slice(1));
    return name === prefix || name.startsWith(`${prefix}/`);
  });
  return matching.sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

async function loadTables(environment: Env): Promise<RegistryTable[]> {
  const tables = new Map<string, RegistryTable>();
  // Most machines have such files without any [[registry]]: no parser is loaded for those.
  const files = configFiles(environment).filter(({ text }) =>
    /^[ \t]*(?:\[\[[ \t]*registry|registry[ \t]*=)/m.test(text),
  );
  if (files.length === 0) return [];
  const { parse } = await import('smol-toml');
  for (const { path, text } of files) {
    let document: Record<string, unknown>;
    try {
      document = parse(text);
    } catch (cause) {
      throw new RegistryError(
        'CONFIGURATION',
        `${path} is not TOML: ${(cause as Error).message.split('\n')[0]}`,
        { cause },
      );
    }
    // A later file replaces the table of an earlier one.
    for (const entry of tablesOf(document.registry)) {
      const table = parseTable(entry, path);
      if (table) tables.set(table.prefix, table);
    }
  }
  return [...tables.values()];
}

/** @throws RegistryError CONFIGURATION */
function parseTable(entry: Record<string, unknown>, file: string): RegistryTable | undefined {
  const text = (name: string) =>
    typeof entry[name] === 'string' ? (entry[name] as string).replace(/\/+$/, '') : '';
  const location = text('location');
  const prefix = text('prefix') || location;
  if (prefix === '') return undefined;
  const mirrors = tablesOf(entry.mirror)
    .filter((mirror) => typeof mirror.location === 'string')
    .map((mirror) => {
      const pull = mirror['pull-from-mirror'];
      return {
        location: (mirror.location as string).replace(/\/+$/, ''),
        insecure: mirror.insecure === true,
        pull: pull === 'digest-only' || pull === 'tag-only' ? pull : 'all',
      } as const;
    });
  const places = [
    prefix.replace(/^\*\./, ''),
    ...(location ? [location] : []),
    ...mirrors.map((mirror) => mirror.location),
  ];
  for (const place of places) checkPlace(place, file);
  return {
    prefix,
    location: location || prefix,
    insecure: entry.insecure === true,
    blocked: entry.blocked === true,
    mirrorByDigestOnly: entry['mirror-by-digest-only'] === true,
    mirrors,
  };
}

/** `host[:port]`, and perhaps a path. */
function checkPlace(place: string, file: string): void {
  const [host = ''] = place.split('/', 1);
  if (isRegistryHost(host)) return;
  throw new RegistryError(
    'CONFIGURATION',
    `${file}: ${JSON.stringify(place)} does not begin with a host name`,
    {
      hint: 'Write host[:port][/namespace], without a scheme.',
    },
  );
}

function tablesOf(value: unknown): Record<string, unknown>[] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (entry): entry is Record<string, unknown> => typeof entry === 'object' && entry !== null,
  );
}

/**
 * CONTAINERS_REGISTRIES_CONF alone, or the user's file else the machine's, then the drop-in directories in name order.
 * Synchronous: passing a small file through the runtime's threads takes ten times as long as reading it.
 */
function configFiles(environment: Env): ConfigFile[] {
  const explicit = environment.CONTAINERS_REGISTRIES_CONF;
  if (explicit) return [{ path: explicit, text: readRequired(explicit) }];
  const { HOME, XDG_CONFIG_HOME } = environment;
  const configHome = XDG_CONFIG_HOME || (HOME && join(HOME, '.config'));
  const roots = [...(configHome ? [configHome] : []), '/etc'];
  const [main] = roots.flatMap((root) => readOptional(join(root, 'containers/registries.conf')));
  const dropIns = roots
    .toReversed()
    .flatMap((root) => readDropIns(join(root, 'containers/registries.conf.d')));
  return [...(main ? [main] : []), ...dropIns];
}

interface ConfigFile {
  path: string;
  text: string;
}

function readDropIns(directory: string): ConfigFile[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const confs = names.filter((file) => file.endsWith('.conf')).sort();
  return confs.flatMap((name) => readOptional(join(directory, name)));
}

/** The file, or nothing. */
function readOptional(path: string): ConfigFile[] {
  try {
    return [{ path, text: readFileSync(path, 'utf8') }];
  } catch {
    return [];
  }
}

function readRequired(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RegistryError(
      'CONFIGURATION',
      `cannot read ${path}: ${(cause as NodeJS.ErrnoException).code}`,
      {
        cause,
        hint: 'Check CONTAINERS_REGISTRIES_CONF.',
      },
    );
  }
}
