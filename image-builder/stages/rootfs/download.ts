// Fetches a small file over HTTP(S) the way apt would: through the proxies of the environment.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { withoutCredentials } from '../../spec/variables/uri.ts';
import { renderAuth } from './apt-credentials.ts';

/** Keys are small; more than this is not one. Bytes. */
const LIMIT = 1024 * 1024;

/**
 * apt's own helper is used because it is there wherever apt is, and honours proxies and certificate settings.
 * @throws ToolError when the file cannot be fetched
 */
export async function download(url: string, { sandbox, signal, workDir }: StageContext): Promise<Buffer> {
  const directory = await mkdtemp(join(workDir, 'download-'));
  try {
    const file = join(directory, 'file');
    const logins = join(directory, 'auth.conf');
    await writeFile(logins, renderAuth([url]), { mode: 0o600 });
    const options = ['--option', 'APT::Sandbox::User=root', '--option', `Dir::Etc::netrc=${logins}`];
    await sandbox.run(
      ['/usr/lib/apt/apt-helper', ...options, 'download-file', '--', withoutCredentials(url), file],
      {
        signal,
      },
    );
    const { size } = await stat(file);
    if (size > LIMIT) throw new Error(`has ${size} bytes, so it is not a key`);
    return await readFile(file);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
