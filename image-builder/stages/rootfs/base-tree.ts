// The tree of a base: installed, or unpacked as an earlier build has kept it. Both are the same to whatever comes next.
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { keepLastUsed, linkOrCopy } from '../../base/files/kept-entries.ts';
import { makeBeside } from '../../base/files/replace.ts';
import { acquireLock } from '../../base/locking/file-lock.ts';
import { hashOf } from '../../pipeline/keys.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { digestFile } from '../../store/entry-files.ts';
import { dropAccessLists, packBase, unpackTree } from './archive.ts';
import { installBase, type TreeSettings } from './bootstrap.ts';
import { makeChosenRepository } from './chosen-repository.ts';
import { cleanBaseTree } from './clean.ts';
import { type Layer, newestBuild } from './layers.ts';

/** How many bases the cache keeps; each has the size of its tree. */
const KEPT = 3;
/** No build takes as long. */
const LOCK_DAYS = 2;

/** Where bases are kept, and what made them. */
export interface BaseCache {
  /** Directory that outlives the build. */
  cacheDir: string;
  /** What decides the bytes beside packages and settings: the code and the tools, as plain data. */
  madeBy: unknown;
}

/**
 * Makes the tree of a base.
 * @param tree must not exist; its parent must
 * @param cache absent: it is installed, and not kept
 * @returns `kept`, which resolves once the base is in the cache; the tree may be changed before that
 */
export async function makeBaseTree(
  tree: string,
  layer: Layer,
  settings: TreeSettings,
  cache: BaseCache | undefined,
  outer: StageContext,
): Promise<{ kept: Promise<void> }> {
  const { signal, step } = outer;
  // The base must not know when the image is made; a caller's SOURCE_DATE_EPOCH may be earlier, though.
  const sourceDateEpoch = Math.min(outer.sourceDateEpoch, await newestBuild(layer.files, layer.archives));
  const context = { ...outer, sourceDateEpoch };
  if (!cache) {
    await install(tree, layer, settings, context);
    await dropAccessLists(tree, context);
    return { kept: Promise.resolve() };
  }
  const directory = join(cache.cacheDir, 'rootfs-base');
  await mkdir(directory, { recursive: true });
  const key = hashOf({
    madeBy: cache.madeBy,
    settings,
    sourceDateEpoch,
    requested: layer.requested,
    debconf: layer.debconf,
    packages: layer.packages.map(({ name, version, sha256 }) => [name, version, sha256]),
  });
  // Builds of different images that have the base in common do the work once.
  const lock = await acquireLock(join(directory, `${key}.lock`), {
    signal,
    onWait: () => step('wait for another build, which installs the same base'),
  });
  try {
    const found = await findKept(directory, key);
    if (found && (await takeKept(found, tree, context))) {
      await lock.release();
      return { kept: Promise.resolve() };
    }
    await install(tree, layer, settings, context);
    step('keep the base');
    const archive = join(context.workDir, 'base.tar');
    await Promise.all([packBase(tree, archive, context), dropAccessLists(tree, context)]);
    const kept = keep(archive, directory, key, signal).finally(() => lock.release());
    // Whoever waits for it learns of a failure; until then nobody does.
    kept.catch(() => {});
    return { kept };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function install(
  tree: string,
  layer: Layer,
  settings: TreeSettings,
  context: StageContext,
): Promise<void> {
  context.step('install the packages of the base');
  // Of nothing but its own packages: what else the image has cannot have changed anything.
  const repository = await makeChosenRepository('base', layer.packages, settings, context);
  await installBase(tree, { ...layer, repository }, settings, context);
  await cleanBaseTree(tree, context);
}

/** A base that an earlier build has kept. */
interface KeptBase {
  path: string;
  /** Hex SHA-256 that it had then. */
  sha256: string;
}

/** `<key>-<SHA-256>.tar` */
const KEPT_NAME = /^([0-9a-f]{64})-([0-9a-f]{64})\.tar$/;

async function findKept(directory: string, key: string): Promise<KeptBase | undefined> {
  for (const name of await readdir(directory)) {
    const [, known, sha256 = ''] = KEPT_NAME.exec(name) ?? [];
    if (known === key) return { path: join(directory, name), sha256 };
  }
  return undefined;
}

/** Unpacks it while it is read once more; false when it is damaged or gone, and there is no tree then. */
async function takeKept({ path, sha256 }: KeptBase, tree: string, context: StageContext): Promise<boolean> {
  const { sandbox, signal, step } = context;
  step('unpack the base');
  const [digest, unpacked] = await Promise.allSettled([
    digestFile(path, signal),
    unpackTree(path, tree, context),
  ]);
  throwIfCancelled(signal);
  if (digest.status === 'fulfilled' && digest.value === sha256) {
    if (unpacked.status === 'rejected') throw unpacked.reason;
    const now = new Date();
    await utimes(path, now, now).catch(() => {});
    return true;
  }
  step('the kept base is damaged; install it again');
  await rm(path, { force: true });
  await sandbox.run(['rm', '-rf', '--', tree], { signal });
  return false;
}

async function keep(archive: string, directory: string, key: string, signal: AbortSignal): Promise<void> {
  const sha256 = await digestFile(archive, signal);
  await makeBeside(join(directory, `${key}-${sha256}.tar`), (temporary) => linkOrCopy(archive, temporary));
  await prune(directory);
}

/** Forgets the bases that were used longest ago, and the locks of those that are long gone. */
async function prune(directory: string): Promise<void> {
  await keepLastUsed(directory, KEPT_NAME, KEPT);
  const oldest = Date.now() - LOCK_DAYS * 24 * 3600 * 1000;
  for (const name of (await readdir(directory)).filter((one) => one.endsWith('.lock'))) {
    const lock = join(directory, name);
    const found = await stat(lock).catch(() => undefined);
    if (found && found.mtimeMs < oldest) await rm(lock, { force: true });
  }
}
