// Writes assets to disk, for tools that want to read them from files (Ansible).
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ASSET_DIRECTORIES, assets } from './assets.ts';

/**
 * Writes the assets of one directory below `destination`, without the directory's own name:
 * `writeAssets('stages/osconfig/ansible', '/tmp/x')` makes `/tmp/x/roles/...`.
 */
export async function writeAssets(
  directory: (typeof ASSET_DIRECTORIES)[number],
  destination: string,
): Promise<void> {
  for (const { path, content, mode } of assets) {
    if (!path.startsWith(`${directory}/`)) continue;
    const file = join(destination, path.slice(directory.length + 1));
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content, { mode });
  }
}
