// The files that the executables carry with them: Ansible's playbooks and roles, and the data of the distributions.
//
// From the source tree they are read when this module is imported; in the bundled executables scripts/build.mjs has
// replaced the module by its value, so that a single file holds everything.
import { readTree } from './read-tree.ts';

/** A file of the source tree. */
export interface Asset {
  /** Path below image-builder/, with `/`: `stages/osconfig/ansible/roles/osconfig/tasks/main.yaml`. */
  path: string;
  /** The text. */
  content: string;
  /** 0o755 for an executable file, otherwise 0o644. */
  mode: number;
}

/** The directories below image-builder/ that are carried along. */
export const ASSET_DIRECTORIES = ['stages/osconfig/ansible', 'spec/distributions'] as const;

/** Every asset, sorted by path. */
export const assets: readonly Asset[] = ASSET_DIRECTORIES.flatMap(readTree);
