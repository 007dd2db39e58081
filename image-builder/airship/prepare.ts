// Prepares the store of the image-builder image: everything that an image is cut from, and no byte more.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadPolicy } from '../policy/load.ts';
import { entryName, removeEntry } from '../store/entry.ts';
import { storeDirectory } from '../store/location.ts';
import { openStore, storePath } from '../store/store.ts';
import { type CutOptions, specOf } from './cut.ts';
import type { PreparedBase } from './root-file-system.ts';

/** Builds the configured root file system; what it was made from is no longer needed and is removed. */
export async function prepare(base: PreparedBase, options: CutOptions): Promise<void> {
  const { resolveBuild } = await import('../spec/variables/resolve.ts');
  const { buildStages } = await import('../build/build.ts');
  const resolved = await resolveBuild(base.name, specOf({ build: {} }, base.build), {
    cwd: base.directory,
    read: base.read,
    onlyNamedQcows: true,
  });
  const { osconfig, rootfs } = await buildStages(resolved, ['rootfs', 'osconfig'], {
    ...options,
    cwd: base.directory,
    policy: await loadPolicy({ caller: 'person', env: process.env, cwd: base.directory }),
  });
  if (!osconfig || !rootfs) throw new TypeError('the root file system was not built');
  const store = await openStore(storeDirectory(process.env, { cwd: base.directory }));
  await removeEntry(store, entryName(rootfs), storePath(store, 'work'));
  // Packages are not needed again; the initramfs is, by every QCOW.
  const cache = storePath(store, 'cache');
  const kept = 'initramfs';
  for (const name of await readdir(cache)) {
    if (name !== kept) await rm(join(cache, name), { recursive: true, force: true });
  }
}
