// What was built under a name, newest first: enough to say what changed after the entries themselves are gone.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { replaceFile, sweepLeftovers } from '../base/files/replace.ts';
import type { EntryId } from './entry.ts';
import { storeFailure } from './errors.ts';
import { fileNameOf, type Store, storePath } from './store.ts';

/** A stage of a build, as it was planned. */
export interface RecordedStage extends EntryId {
  inputs: unknown;
  tools: Readonly<Record<string, string>>;
  /** Names of the stages that it started from; records of earlier releases do not tell. */
  parents?: readonly string[];
}

/** One build of a name. */
export interface BuildRecord {
  name: string;
  /** ISO 8601. */
  builtAt: string;
  /** Digest of the bundle's manifest. */
  digest: string;
  /** By stage name; parents come first. */
  stages: Record<string, RecordedStage>;
}

/** Records that are kept of a name. */
const KEPT = 50;

/** Records a build; the oldest ones go. */
export async function recordBuild(store: Store, record: BuildRecord): Promise<void> {
  const directory = storePath(store, 'builds', fileNameOf(record.name));
  const file = `${record.builtAt.replaceAll(':', '')}-${randomBytes(3).toString('hex')}.json`;
  try {
    await mkdir(directory, { recursive: true });
    await replaceFile(`${directory}/${file}`, JSON.stringify(record));
    await sweepLeftovers(directory);
    const files = await recordFiles(store, record.name);
    await Promise.all(files.slice(KEPT).map((old) => rm(`${directory}/${old}`, { force: true })));
  } catch (error) {
    throw storeFailure(error, 'record the build', store.directory);
  }
}

/** The builds of a name, newest first; unreadable records are left out. */
export async function readHistory(store: Store, name: string, limit = KEPT): Promise<BuildRecord[]> {
  const records: BuildRecord[] = [];
  for (const file of (await recordFiles(store, name)).slice(0, limit)) {
    try {
      records.push(JSON.parse(await readFile(storePath(store, 'builds', fileNameOf(name), file), 'utf8')));
    } catch {
      // Only history.
    }
  }
  return records;
}

async function recordFiles(store: Store, name: string): Promise<string[]> {
  try {
    const files = await readdir(storePath(store, 'builds', fileNameOf(name)));
    return files
      .filter((file) => file.endsWith('.json') && !file.startsWith('.'))
      .sort()
      .reverse();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw storeFailure(error, 'read the history', store.directory);
  }
}
