// Frees space: what has not been used for long, then what was used longest ago.
import { mkdtemp, readdir, rm, rmdir, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { sweepLeftovers } from '../base/files/replace.ts';
import { tryLock } from '../base/locking/file-lock.ts';
import { type Entry, type EntryId, entryName, listEntries, removeEntry } from './entry.ts';
import { type Store, storePath } from './store.ts';
import { holdWorkspaces, runningSince } from './workspace.ts';

/** An entry with what it costs and when it was last of use. */
export interface EntryUsage {
  name: string;
  kind: string;
  key: string;
  /** Stage and build that made it. */
  stage: string;
  build: string;
  /** Bytes of its files. Files that entries share (the layers of QCOWs) count in each. */
  bytes: number;
  /** ISO 8601. */
  createdAt: string;
  /** ISO 8601. */
  usedAt: string;
}

/** What may stay. */
export interface Limits {
  /** Seconds since the last use. */
  maxAge?: number;
  /** Bytes of all entries. */
  maxBytes?: number;
}

/** The entries, those used longest ago first. */
export async function listUsage(store: Store): Promise<EntryUsage[]> {
  const usages = await Promise.all((await listEntries(store)).map(usageOf));
  return usages.sort((a, b) => (a.usedAt < b.usedAt ? -1 : 1));
}

async function usageOf(entry: Entry): Promise<EntryUsage> {
  const { mtime } = await stat(entry.directory);
  const { kind, key, stage, build, createdAt } = entry;
  const bytes = Object.values(entry.files).reduce((sum, { size }) => sum + size, 0);
  return { name: entryName(entry), kind, key, stage, build, bytes, createdAt, usedAt: mtime.toISOString() };
}

/**
 * Notes that an entry is of use. The note is the directory's time stamp: a store that is only read has none. Whoever
 * is about to use an entry notes it before looking: then the collector either has seen the note, or the entry is gone.
 */
export async function touchEntry(store: Store, id: EntryId): Promise<void> {
  const directory = storePath(store, 'entries', entryName(id));
  const now = new Date();
  await utimes(directory, now, now).catch(async (error) => {
    if (errnoOf(error) !== 'EPERM') return;
    // Another user's entry: only its owner may set a time, but whoever may write into it changes it all the same.
    await mkdtemp(join(directory, '.used-'))
      .then((mark) => rmdir(mark))
      .catch(() => {});
  });
}

/**
 * Removes entries until the limits are met. What a running build may be using stays: all that was used since the
 * oldest of them began.
 * @returns what was removed
 */
export async function collectGarbage(store: Store, limits: Limits, now = new Date()): Promise<EntryUsage[]> {
  // No build begins meanwhile, so those that run are all that there are.
  const pause = await holdWorkspaces(store);
  try {
    return await collect(store, limits, now);
  } finally {
    await pause.release();
  }
}

async function collect(store: Store, limits: Limits, now: Date): Promise<EntryUsage[]> {
  const since = await runningSince(store);
  const usages = await listUsage(store);
  let total = usages.reduce((sum, { bytes }) => sum + bytes, 0);
  const removed: EntryUsage[] = [];
  for (const usage of usages) {
    // Again: listing takes its time, and a running build may have come to this entry.
    const used = await lastUse(store, usage).catch(() => Date.now());
    const old = limits.maxAge !== undefined && now.getTime() - used > limits.maxAge * 1000;
    const tooMuch = limits.maxBytes !== undefined && total > limits.maxBytes;
    if ((!old && !tooMuch) || (since !== undefined && used >= since.getTime())) continue;
    await removeEntry(store, usage.name, storePath(store, 'work'));
    // The log, and the screen of a machine that did not boot.
    for (const ending of ['log', 'png'])
      await rm(storePath(store, 'logs', `${usage.name}.${ending}`), { force: true });
    removed.push(usage);
    total -= usage.bytes;
  }
  await removeIdleLocks(store);
  await sweepLeftovers(storePath(store, 'recipes'));
  if (limits.maxAge !== undefined) await removeOldTriggers(store, now.getTime() - limits.maxAge * 1000);
  return removed;
}

async function lastUse(store: Store, id: EntryId): Promise<number> {
  return (await stat(storePath(store, 'entries', entryName(id)))).mtimeMs;
}

/** Logs and failures of builds in the background that have ended before `until` (milliseconds since the epoch). */
async function removeOldTriggers(store: Store, until: number): Promise<void> {
  for (const name of await readdir(storePath(store, 'triggers'))) {
    const directory = storePath(store, 'triggers', name);
    const { mtimeMs } = await stat(directory);
    if (mtimeMs > until) continue;
    const lock = await tryLock(join(directory, 'lock'));
    if (lock) await rm(directory, { recursive: true, force: true });
    await lock?.release();
  }
}

/** Lock files of entries that are gone and that nobody builds. */
async function removeIdleLocks(store: Store): Promise<void> {
  const entries = new Set((await listEntries(store)).map(entryName));
  for (const name of await readdir(storePath(store, 'locks'))) {
    if (entries.has(name) || !/-[0-9a-f]{64}$/.test(name)) continue;
    const path = storePath(store, 'locks', name);
    const lock = await tryLock(path).catch((error) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    // Removed while it is held: whoever opened the file meanwhile sees that it is not the one of that name any more.
    if (lock) await rm(path, { force: true });
    await lock?.release();
  }
}
