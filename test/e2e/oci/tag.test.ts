// Tagging on a real registry: manifests and indexes, within a repository and across, with and without a login.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tagImage } from '../../../image-builder/oci/distribution/tag.ts';
import { parseReference, type RegistryReference } from '../../../image-builder/oci/reference.ts';
import { run } from '../support/docker.ts';
import { skopeoCopy, startRegistry, type TestRegistry } from '../support/registry.ts';

let directory: string;
let registry: TestRegistry;
const reference = (text: string) => parseReference(`${registry.host}/${text}`) as RegistryReference;

/** An OCI layout with an index of two small images, made by umoci. */
async function makeImages(): Promise<string> {
  const layout = join(directory, 'layout');
  const umoci = async (...args: string[]) => expect(await run('umoci', args)).toMatchObject({ status: 0 });
  await umoci('init', '--layout', layout);
  for (const tag of ['a', 'b']) {
    await umoci('new', '--image', `${layout}:${tag}`);
    await umoci('insert', '--image', `${layout}:${tag}`, '/etc/hostname', '/file');
  }
  return layout;
}

async function inspect(text: string, ...options: string[]): Promise<Record<string, unknown>> {
  const result = await run('skopeo', [
    'inspect',
    '--raw',
    '--tls-verify=false',
    ...options,
    `docker://${registry.host}/${text}`,
  ]);
  if (result.status !== 0) throw new Error(result.stderr);
  return JSON.parse(result.stdout);
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-tag-'));
  registry = await startRegistry();
  const layout = await makeImages();
  await skopeoCopy(`oci:${layout}:a`, `docker://${registry.host}/site/bundle:k8s-1.34-abc`);
});
afterAll(async () => {
  await registry.stop();
  await rm(directory, { recursive: true, force: true });
});

test('a tag of the same repository, and one of another, stand for the same manifest', async () => {
  const targets = [reference('site/bundle:k8s-1.34-latest'), reference('mirror/of/bundle:latest')];
  const digest = await tagImage(reference('site/bundle:k8s-1.34-abc'), targets);
  const original = await inspect('site/bundle:k8s-1.34-abc');
  for (const name of [
    'site/bundle:k8s-1.34-latest',
    'mirror/of/bundle:latest',
    `mirror/of/bundle@${digest}`,
  ]) {
    expect(await inspect(name)).toEqual(original);
  }
  // Everything that the manifest names is there.
  const copied = await run('skopeo', [
    'copy',
    '--insecure-policy',
    '--src-tls-verify=false',
    `docker://${registry.host}/mirror/of/bundle:latest`,
    `oci:${directory}/copy:x`,
  ]);
  expect(copied).toMatchObject({ status: 0 });
});

test('the digest decides, and must exist', async () => {
  const digest = await tagImage(reference('site/bundle:k8s-1.34-abc'), []);
  await tagImage({ ...reference('site/bundle:gone'), digest }, [reference('site/bundle:by-digest')]);
  expect(await inspect('site/bundle:by-digest')).toEqual(await inspect('site/bundle:k8s-1.34-abc'));
  const nothing = `sha256:${'0'.repeat(64)}` as const;
  await expect(tagImage({ ...reference('site/bundle:x'), digest: nothing }, [])).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('an index goes with the images that it names', async () => {
  const child = await tagImage(reference('site/bundle:k8s-1.34-abc'), []);
  const content = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: child,
        size: await rawSize('site/bundle:k8s-1.34-abc'),
      },
    ],
  });
  const put = await fetch(`${registry.url}/v2/site/bundle/manifests/index`, {
    method: 'PUT',
    headers: { 'content-type': 'application/vnd.oci.image.index.v1+json' },
    body: content,
  });
  expect(put.status).toBe(201);
  await tagImage(reference('site/bundle:index'), [reference('elsewhere:index')]);
  expect(await inspect('elsewhere:index')).toMatchObject({ manifests: [{ digest: child }] });
  expect(await inspect(`elsewhere@${child}`)).toHaveProperty('layers');
});

async function rawSize(text: string): Promise<number> {
  const response = await fetch(`${registry.url}/v2/${text.replace(':', '/manifests/')}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  return (await response.arrayBuffer()).byteLength;
}

test('nothing is written when a target is impossible', async () => {
  const source = reference('site/bundle:k8s-1.34-abc');
  const foreign = parseReference('example.org/site/bundle:x') as RegistryReference;
  await expect(tagImage(source, [reference('site/bundle:never'), foreign])).rejects.toMatchObject({
    code: 'INVALID_REFERENCE',
  });
  await expect(inspect('site/bundle:never')).rejects.toThrow();
});

test('with tokens, the scope covers both repositories', async () => {
  const guarded = await startRegistry({ token: { username: 'ci', password: 'secret' } });
  try {
    // Not execFileSync: the token server lives in this process.
    const target = `docker://${guarded.host}/a/b:1`;
    const options = ['--insecure-policy', '--dest-tls-verify=false', '--dest-creds', 'ci:secret'];
    const copied = await run('skopeo', ['copy', ...options, `oci:${directory}/layout:a`, target]);
    expect(copied).toMatchObject({ status: 0 });
    const auths = { [guarded.host]: { auth: Buffer.from('ci:secret').toString('base64') } };
    const credentials = { pullSecrets: [{ json: JSON.stringify({ auths }), origin: 'test' }] };
    const at = (text: string) => parseReference(`${guarded.host}/${text}`) as RegistryReference;
    await tagImage(at('a/b:1'), [at('a/b:2'), at('c/d:1')], { credentials });
    await expect(tagImage(at('a/b:1'), [at('a/b:3')], { environment: {} })).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
    });
  } finally {
    await guarded.stop();
  }
});
