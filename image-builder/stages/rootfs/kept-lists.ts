// The package lists of earlier builds. apt asks the repositories whether they are still the newest, and verifies what they
// answer; of those that are, nothing has to be fetched, decompressed or parsed again.
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { replaceFile } from '../../base/files/replace.ts';
import { tryLock } from '../../base/locking/file-lock.ts';
import { hashOf } from '../../pipeline/keys.ts';
import { digestFile, listFiles } from '../../store/entry-files.ts';

/** Lists that no build has used for so long are removed. */
const KEPT_DAYS = 30;

/** A list as it was when it had been verified. */
interface ListRecord {
  sha256: string;
  /** Of its last change, in seconds since the epoch; what apt has parsed is good for files with these times only. */
  changed: number;
}

/** The lists of some repositories, which nobody else uses at the same time. */
export class KeptLists {
  readonly #directory: string;
  readonly #signal: AbortSignal;
  readonly #unlock: () => Promise<void>;
  #records: Record<string, ListRecord> = {};

  private constructor(directory: string, signal: AbortSignal, unlock: () => Promise<void>) {
    this.#directory = directory;
    this.#signal = signal;
    this.#unlock = unlock;
  }

  /**
   * @param cacheDir directory that outlives the build
   * @param repositories what decides what the lists are, as plain data
   * @returns undefined while another build uses them: it may be about to change them
   */
  static async open(
    cacheDir: string,
    repositories: unknown,
    signal: AbortSignal,
  ): Promise<KeptLists | undefined> {
    const cache = join(cacheDir, 'package-lists');
    await mkdir(cache, { recursive: true });
    const directory = join(cache, hashOf(repositories));
    const lock = await tryLock(`${directory}.lock`);
    if (!lock) return undefined;
    const kept = new KeptLists(directory, signal, () => lock.release());
    try {
      if (!(await kept.#isIntact())) {
        kept.#records = {};
        await rm(directory, { recursive: true, force: true });
      }
      await mkdir(join(kept.lists, 'partial'), { recursive: true });
      // apt looks at its time, too.
      await writeFile(kept.status, '', { flag: 'a' });
      await forgetUnused(cache);
      return kept;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** apt's `Dir::State::Lists`. */
  get lists(): string {
    return join(this.#directory, 'lists');
  }

  /** apt's `Dir::State::status`: a dpkg status without packages. */
  get status(): string {
    return join(this.#directory, 'status');
  }

  /** apt's `Dir::Cache::pkgcache`: what it has parsed. It verifies that by itself. */
  get parsed(): string {
    return join(this.#directory, 'pkgcache.bin');
  }

  /** Notes what apt has just verified. A list that is what it was gets its old time, so that it need not be parsed again. */
  async settle(): Promise<void> {
    const records: Record<string, ListRecord> = {};
    for (const path of await listFiles(this.lists)) {
      const file = join(this.lists, path);
      const known = this.#records[path];
      let changed = await timeOf(file);
      const sha256 = known?.changed === changed ? known.sha256 : await digestFile(file, this.#signal);
      if (known?.sha256 === sha256 && known.changed !== changed) {
        await utimes(file, known.changed, known.changed);
        changed = known.changed;
      }
      records[path] = { sha256, changed };
    }
    this.#records = records;
    await replaceFile(join(this.#directory, RECORDS), JSON.stringify(records));
  }

  async release(): Promise<void> {
    await this.#unlock();
  }

  /** Reads every list: a damaged one must not decide what is installed. */
  async #isIntact(): Promise<boolean> {
    try {
      this.#records = JSON.parse(await readFile(join(this.#directory, RECORDS), 'utf8'));
      const paths = await listFiles(this.lists);
      if (paths.length !== Object.keys(this.#records).length) return false;
      for (const path of paths) {
        const file = join(this.lists, path);
        const { sha256, changed } = this.#records[path] ?? {};
        if (changed !== (await timeOf(file)) || sha256 !== (await digestFile(file, this.#signal)))
          return false;
      }
      return true;
    } catch {
      throwIfCancelled(this.#signal);
      return false;
    }
  }
}

const RECORDS = 'lists.json';

const timeOf = async (path: string) => Math.floor((await stat(path)).mtimeMs / 1000);

async function forgetUnused(cache: string): Promise<void> {
  const oldest = Date.now() - KEPT_DAYS * 24 * 3600 * 1000;
  for (const name of (await readdir(cache)).filter((one) => !one.includes('.'))) {
    const directory = join(cache, name);
    const records = await stat(join(directory, RECORDS)).catch(() => undefined);
    if (!records || records.mtimeMs >= oldest) continue;
    const lock = await tryLock(`${directory}.lock`);
    if (!lock) continue;
    await rm(directory, { recursive: true, force: true });
    await lock.release();
  }
}
