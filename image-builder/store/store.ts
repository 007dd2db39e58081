// The store's directory and what lies where in it. The other files of this folder are its verbs.
//
//   layout          version of this layout, one line
//   entries/        <kind>-<key>/: results, each with its entry.json; they appear by rename
//   recipes/        <kind>-<recipe>: key of the newest entry made by a recipe, with whatever tools
//   locks/          <kind>-<key>: who builds the entry now (flock) and how far it is (lines of JSON)
//   work/           directories of running builds; each holds the lock of its process
//   builds/         <name>/<time>-<id>.json: what was built under a name
//   bundles/        <name>: OCI layouts of builds that do not say where their bundle goes
//   logs/           output of the stages
//   cache/          package files that builds have fetched
//   triggers/       <hash>/: builds that renders have left in the background: lock, state, log, why they failed
import { access, constants, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { StoreError, storeFailure } from './errors.ts';
import { type Belief, isOwn } from './origin.ts';

const LAYOUT = '1';
const DIRECTORIES = [
  'entries',
  'recipes',
  'locks',
  'work',
  'builds',
  'bundles',
  'logs',
  'cache',
  'triggers',
] as const;
type StorePart = (typeof DIRECTORIES)[number];

/** A store as a build sees it, which can be read. Writing goes through {@link prepareStore} first. */
export interface Store {
  /** Absolute path. */
  readonly directory: string;
  /** Whose results count for this build; those of others are as good as not there. */
  readonly believes: Belief;
}

/** The path of a part of the store. */
export function storePath(store: Store, part: StorePart, ...below: string[]): string {
  return join(store.directory, part, ...below);
}

/**
 * Opens a store for reading; it need not exist, then it is empty.
 * @param believes default: what was made here only
 * @throws StoreError when the directory holds the store of another version, or others could have written what is in it
 */
export async function openStore(directory: string, believes: Belief = isOwn): Promise<Store> {
  await requirePrivate(directory);
  let layout: string;
  try {
    layout = await readFile(join(directory, 'layout'), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { directory, believes };
    throw storeFailure(error, 'read the version of the store', directory);
  }
  if (layout.trim() !== LAYOUT) {
    throw new StoreError(
      'STORE_LAYOUT_UNKNOWN',
      `${directory} contains a store of layout "${layout.trim()}", expected ${LAYOUT}`,
      { hint: 'use another directory, or remove this one: everything in it can be built again' },
    );
  }
  return { directory, believes };
}

/**
 * What is in a store is believed, so nobody else may have made it. A directory of root's is the administrator's, who may
 * let a group share it; in a container of ours everything that is mounted is the caller's.
 */
async function requirePrivate(directory: string): Promise<void> {
  const facts = await stat(directory).catch(() => undefined);
  if (!facts || process.env.IMAGE_BUILDER_CONTAINER !== undefined) return;
  const { uid, mode } = facts;
  const isForeign = uid !== 0 && uid !== process.getuid?.();
  if (!isForeign && (mode & 0o002) === 0) return;
  const why = isForeign ? `belongs to the user ${uid}` : 'is world-writable';
  throw new StoreError(
    'STORE_NOT_PRIVATE',
    `the store ${directory} ${why}, so its contents cannot be trusted`,
    {
      hint: isForeign
        ? 'use another directory; a shared one must belong to root: install --directory --mode=2770 --group=builders DIRECTORY'
        : `chmod o-w ${directory}`,
    },
  );
}

/**
 * Makes the directories of a store. A new one is private to its owner: root file systems hold password hashes and
 * host keys; who wants to share a store makes its directory with the mode that fits.
 * @throws StoreError when it cannot be written
 */
export async function prepareStore(store: Store): Promise<void> {
  try {
    await mkdir(store.directory, { recursive: true, mode: 0o700 });
    await requirePrivate(store.directory);
    for (const part of DIRECTORIES) {
      await mkdir(storePath(store, part), { recursive: true });
      await access(storePath(store, part), constants.W_OK);
    }
    await writeFile(join(store.directory, 'layout'), `${LAYOUT}\n`, { flag: 'wx' }).catch((error) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
  } catch (error) {
    throw storeFailure(error, 'make the directories of the store', store.directory);
  }
}

/** A name that a user chose, as a file name: without separators, colons and leading dots. */
export function fileNameOf(name: string): string {
  return encodeURIComponent(name).replace(/^\./, '%2E');
}
