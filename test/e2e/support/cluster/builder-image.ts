// The builder image in a registry of the tests: made of dist/ by scripts/builder-layout.sh, with the tools of this machine's own
// release, and pushed by our own command. No container engine has a part in it.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hostCodename } from '../docker.ts';
import { executable } from '../executables.ts';
import type { TestRegistry } from '../registry.ts';
import { dockerConfig } from './cluster.ts';

const run = promisify(execFile);
const script = join(__dirname, '../../../../scripts/builder-layout.sh');

/** Lays it out in a new directory. @returns its digest */
export async function layOutBuilderImage(layout: string): Promise<string> {
  const { stdout } = await run(script, [layout, await hostCodename()]);
  return stdout.trim();
}

/** @returns its reference, with the digest. The first time, Debian's packages are installed: a minute. */
export async function pushBuilderImage(
  registry: TestRegistry,
  login: { username: string; password: string },
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'builder-image-'));
  try {
    const layout = join(directory, 'layout');
    const digest = await layOutBuilderImage(layout);
    const authFile = join(directory, 'auth.json');
    await writeFile(authFile, dockerConfig(registry.host, login), { mode: 0o600 });
    const repository = `${registry.host}/image-builder/tools`;
    await run(executable('image-builder'), ['push', `oci:${layout}:latest`, `${repository}:test`], {
      env: { ...process.env, REGISTRY_AUTH_FILE: authFile, SSL_CERT_FILE: registry.caFile },
    });
    return `${repository}@${digest}`;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
