// The keys of the repositories: as files that apt can read at build time, and where they are in the image.
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import type { ResolvedDistribution } from '../../spec/variables/resolved.ts';
import type { ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { withoutCredentials } from '../../spec/variables/uri.ts';
import { download } from './download.ts';
import { keyProblem } from './key-problems.ts';
import { RootfsError } from './rootfs-error.ts';

/** The key of a repository on this machine. */
export interface Key {
  /** Absolute path here. */
  path: string;
  /** File name with the suffix by which apt tells armoured (`.asc`) from binary (`.gpg`) keys. */
  name: string;
}

/** Fetches a package that holds keys and returns its path. */
export type FetchPackage = (name: string) => Promise<string>;

/**
 * The key that the distribution's own repositories are signed with: as this machine has it, otherwise from the keyring
 * package of that name in this machine's own (verified) repositories.
 */
export async function distributionKey(
  { keyring }: ResolvedDistribution,
  directory: string,
  context: StageContext,
): Promise<Key> {
  const readable = await access(keyring.path).then(
    () => true,
    () => false,
  );
  if (readable) return { path: keyring.path, name: `${keyring.package}.gpg` };
  const { sandbox, signal } = context;
  const target = join(directory, keyring.package);
  await mkdir(target, { recursive: true });
  try {
    await sandbox.run(['apt-get', '--quiet', 'download', '--', keyring.package], { cwd: target, signal });
  } catch (cause) {
    throw new RootfsError(
      'KEY_UNAVAILABLE',
      `the keys of the distribution (${keyring.path}) are not on this machine`,
      {
        cause,
        field: 'spec.build.distribution',
        hint: `install the package ${keyring.package}`,
      },
    );
  }
  return keyOfPackage(target, keyring.package, context);
}

/**
 * The key of a repository that is not signed by the distribution.
 * @param field that of the key
 * @param directory where the key is written to.
 * @param fetchPackage gets the package that `keyring_pkg` names from the distribution.
 */
export async function repositoryKey(
  repository: ResolvedRepository,
  field: string,
  directory: string,
  fetchPackage: FetchPackage,
  context: StageContext,
): Promise<Key> {
  const { keyring, keyring_url, keyring_pkg } = repository;
  if (keyring !== undefined) {
    checkReadable(decodeKeyring(keyring), 'the key', field);
    return keyFromText(directory, repository.name, keyring);
  }
  if (keyring_url !== undefined) {
    const content = await download(keyring_url, context).catch((cause: unknown) => {
      throw new RootfsError('KEY_UNAVAILABLE', `${withoutCredentials(keyring_url)} cannot be fetched`, {
        cause,
        field,
        output: outputOf(cause),
      });
    });
    checkChecksum(content, repository, field);
    checkReadable(content, withoutCredentials(keyring_url), field);
    return writeKey(directory, repository.name, content);
  }
  const name = keyring_pkg ?? '';
  const target = join(directory, name);
  await mkdir(target, { recursive: true });
  const file = await fetchPackage(name).catch((cause: unknown) => {
    throw new RootfsError(
      'KEY_UNAVAILABLE',
      `the package ${name} is not available from a repository whose key is known without it`,
      {
        cause,
        field,
      },
    );
  });
  return await keyOfPackage(target, name, context, file).catch((cause: unknown) => {
    throw new RootfsError('KEY_UNAVAILABLE', `the package ${name} contains no keys`, {
      cause,
      field,
    });
  });
}

const outputOf = (cause: unknown): string[] =>
  cause instanceof ToolError && cause.output ? cause.output : [(cause as Error).message];

/** A key as the spec or a lock file has it, as a file. */
export const keyFromText = (directory: string, name: string, keyring: string): Promise<Key> =>
  writeKey(directory, name, decodeKeyring(keyring));

/** A key as text: armoured as it is, `base64:` and the bytes otherwise. */
export async function textOfKey({ path, name }: Key): Promise<string> {
  const content = await readFile(path);
  return name.endsWith('.asc') ? content.toString('utf8') : `base64:${content.toString('base64')}`;
}

/** apt would only say that the repository is not signed by it. */
function checkReadable(content: Buffer, what: string, field: string): void {
  const problem = keyProblem(content);
  if (problem !== undefined) throw new RootfsError('KEY_UNAVAILABLE', `${what} ${problem}`, { field });
}

function checkChecksum(
  content: Buffer,
  { keyring_url, keyring_checksum }: ResolvedRepository,
  field: string,
): void {
  const sha256 = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  if (keyring_checksum === undefined || keyring_checksum === sha256) return;
  throw new RootfsError(
    'KEY_UNAVAILABLE',
    `${withoutCredentials(keyring_url ?? '')} serves another key: ${sha256}`,
    {
      field: field.replace(/keyring_url$/, 'keyring_checksum'),
    },
  );
}

async function writeKey(directory: string, name: string, content: Buffer): Promise<Key> {
  const armoured = content.toString('latin1').trimStart().startsWith('-----BEGIN');
  const file = `${name}.${armoured ? 'asc' : 'gpg'}`;
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, file), content);
  return { path: join(directory, file), name: file };
}

const decodeKeyring = (keyring: string): Buffer =>
  keyring.startsWith('base64:')
    ? Buffer.from(keyring.slice('base64:'.length), 'base64')
    : Buffer.from(keyring, 'utf8');

/**
 * All keyrings of a package as one: a keyring is a sequence of keys, so that concatenation is a union. Armoured ones
 * count when there are no others.
 */
async function keyOfPackage(
  target: string,
  name: string,
  { sandbox, signal }: StageContext,
  file?: string,
): Promise<Key> {
  const path = join(target, name);
  const output = await sandbox.run(
    ['sh', '-euc', EXTRACT_KEYS, 'sh', target, path, ...(file === undefined ? [] : [file])],
    { signal },
  );
  const suffix = output.trim();
  return { path: `${path}.${suffix}`, name: `${name}.${suffix}` };
}

// Removed keys are in these packages too, under a name that says so.
const EXTRACT_KEYS = `
target=$1 path=$2 package=\${3:-}
[ -n "$package" ] || package=$(ls "$target"/*.deb)
dpkg-deb --extract "$package" "$target/root"
keys() {
  find "$target/root/usr/share/keyrings" "$target/root/etc/apt/trusted.gpg.d" "$target/root/etc/apt/keyrings" -type f \\
    \\( "$@" \\) ! -name '*removed*' 2>/dev/null | LC_ALL=C sort | xargs -r cat
}
keys -name '*.gpg' -o -name '*.pgp' > "$path.gpg"
if [ -s "$path.gpg" ]; then echo gpg; exit; fi
keys -name '*.asc' > "$path.asc"
[ -s "$path.asc" ] && echo asc`;
