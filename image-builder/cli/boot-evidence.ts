// Keeps what was seen of a machine that did not boot, for `image-builder boot-test`.
import { mkdir, mkdtemp, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BootError } from '../stages/boot-test/boot-error.ts';

/**
 * Runs a boot test. When it fails, `console.txt` and, if the machine has a screen, `screen.png` are in `directory`, and the
 * error names them.
 * @param directory default: a new one for temporary files, which is gone when there is nothing to keep
 * @param test is given the file for the screen
 */
export async function evidenceIn<Result>(
  directory: string | undefined,
  test: (screenshot: string) => Promise<Result>,
): Promise<Result> {
  if (directory !== undefined) await mkdir(directory, { recursive: true });
  const kept = directory ?? (await mkdtemp(join(tmpdir(), 'image-builder-boot-test-')));
  try {
    return await test(resolve(kept, 'screen.png'));
  } catch (error) {
    if (error instanceof BootError && error.evidence) {
      error.log = resolve(kept, 'console.txt');
      await writeFile(error.log, error.evidence.console);
    }
    throw error;
  } finally {
    // A directory with something in it stays.
    if (directory === undefined) await rmdir(kept).catch(() => {});
  }
}
