// Which distribution a root file system tree is.
import { enterTree } from '../sandbox/enter-tree.ts';
import type { StageContext } from '../sandbox/stage-context.ts';

/** Of os-release(5). */
export interface Release {
  /** `debian`. */
  id: string;
  /** `Debian GNU/Linux 13 (trixie)`. */
  name: string;
}

/** Reads /etc/os-release, which may be a link, inside of the tree; a tree without one is just Linux. */
export async function readRelease(tree: string, { sandbox, signal }: StageContext): Promise<Release> {
  const text = await sandbox
    .run(enterTree(tree, ['cat', '/etc/os-release']), {
      signal,
      confined: { writable: [], readable: [tree] },
    })
    .catch((error: unknown) => {
      if (signal.aborted) throw error;
      return '';
    });
  return parseRelease(text);
}

/** The values end up in file names and menus, so only plain ones are taken. */
export function parseRelease(text: string): Release {
  const value = (key: string, pattern: string) =>
    new RegExp(`^${key}=(["']?)(${pattern})\\1$`, 'm').exec(text)?.[2];
  return { id: value('ID', '[a-z0-9_-]+') ?? 'linux', name: value('PRETTY_NAME', '[ -~]+?') ?? 'Linux' };
}
