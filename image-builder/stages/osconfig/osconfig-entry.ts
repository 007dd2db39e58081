// What the stage `osconfig` leaves in the store: another root file system.
import { join } from 'node:path';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';
import { ARCHIVES_FILE, type PackedRootfs, ROOTFS_FILE, type RootfsFacts } from '../rootfs/rootfs-entry.ts';

/** Facts of the entry: what the root file system brought. */
export type OsconfigFacts = Pick<RootfsFacts, 'packages'>;

/** @throws TypeError for the entry of another stage, or none */
export function readOsconfigEntry(entry: Entry | undefined): PackedRootfs {
  const { packages } = factsOf<OsconfigFacts>('osconfig', entry);
  const directory = entry?.directory ?? '';
  return { file: join(directory, ROOTFS_FILE), packages, archives: join(directory, ARCHIVES_FILE) };
}
