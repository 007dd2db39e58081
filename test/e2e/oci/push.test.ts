// Pushing to a real registry: what arrives is what was there, and neither crashes nor cut connections change that.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { type PushOptions, pushReference } from '../../../image-builder/oci/distribution/push.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { bundleOf, makeQcow, run, writeBundle } from '../bundle/support.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

let directory: string;
let registry: TestRegistry;
let digest: string;
const events: ProgressEvent[] = [];
const at = (text: string, host = registry.host) => parseReference(`${host}/${text}`) as RegistryReference;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-push-'));
  registry = await startRegistry();
  for (const [name, mebibytes] of [
    ['a', 80],
    ['b', 3],
  ] as const)
    await makeQcow(join(directory, name), mebibytes);
  const bundle = bundleOf({ 'control-plane': join(directory, 'a'), 'data-plane': join(directory, 'b') });
  const destination = { kind: 'layout', path: 'layout', tag: 'v1' } as const;
  digest = (await writeBundle(bundle, destination, { cwd: directory })).reference.digest;
});
beforeEach(() => events.splice(0));
afterAll(async () => {
  await registry.stop();
  await rm(directory, { recursive: true, force: true });
});

const push = (target: RegistryReference, options: Partial<PushOptions> = {}) =>
  pushReference(parseReference(`oci:${directory}/layout:v1`), target, {
    report: (event) => events.push(event),
    limits: { retryDelay: 20 },
    ...options,
  });

/** Everything that the tag names, with every digest checked by another program. */
async function pulled(name: string, host = registry.host): Promise<string> {
  const target = `oci:${directory}/pulled-${events.length}:x`;
  const options = ['copy', '--quiet', '--insecure-policy', '--src-tls-verify=false', '--preserve-digests'];
  await run('skopeo', [...options, `docker://${host}/${name}`, target]);
  const { stdout } = await run('skopeo', ['inspect', target]);
  return JSON.parse(stdout).Digest;
}

test('a bundle arrives whole, once', async () => {
  const result = await push(at('site/bundle:v1'));
  expect(result.digest).toBe(digest);
  expect(result.uploaded).toBeGreaterThan(83 << 20);
  expect(await pulled('site/bundle:v1')).toBe(digest);
  expect(events.filter(({ type }) => type === 'bytes').at(-1)).toMatchObject({
    done: result.uploaded,
    total: result.uploaded,
  });
  expect(await push(at('site/bundle:v1'))).toEqual({ digest, uploaded: 0 });
  expect(await push(at('site/bundle:v2'))).toEqual({ digest, uploaded: 0 });
});

test('a registry that is killed in mid-upload and comes back', async () => {
  let killed = false;
  const report = async (event: ProgressEvent) => {
    if (killed || event.type !== 'bytes' || event.done < 20 << 20) return;
    killed = true;
    await registry.kill();
    await registry.start();
  };
  const result = await push(at('crash/bundle:v1'), { report });
  expect(killed).toBe(true);
  expect(result.digest).toBe(digest);
  expect(await pulled('crash/bundle:v1')).toBe(digest);
});
