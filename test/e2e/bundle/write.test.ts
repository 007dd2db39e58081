// Bundles that we write, as skopeo, umoci and tar see them.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundleOf, makeQcow, run, temporaryDirectory, writeBundle } from './support.ts';

const cwd = temporaryDirectory();
const controlPlane = join(cwd, 'a.img');
const dataPlane = join(cwd, 'b.img');
beforeAll(async () => {
  await makeQcow(controlPlane, 3);
  await makeQcow(dataPlane, 2);
});

const layout = (path: string, tag = 'v1') => ({ kind: 'layout', path, tag }) as const;
const both = () => bundleOf({ 'control-plane': controlPlane, 'data-plane': dataPlane });

async function blobNames(path: string): Promise<string[]> {
  return (await readdir(join(cwd, path, 'blobs', 'sha256'))).sort();
}

async function tags(path: string): Promise<string[]> {
  const index = JSON.parse(await readFile(join(cwd, path, 'index.json'), 'utf8'));
  return index.manifests.map(
    (one: { annotations: Record<string, string> }) => Object.values(one.annotations)[0],
  );
}

jest.setTimeout(60_000);

describe('an OCI layout', () => {
  test('is read by skopeo and unpacked by umoci to what the consumers of a bundle expect', async () => {
    const { reference, artifacts } = await writeBundle(both(), layout('out'), { cwd });
    expect(reference.image).toBe(`oci:out:v1@${reference.digest}`);

    const inspected = JSON.parse((await run('skopeo', ['inspect', 'oci:out:v1'], { cwd })).stdout);
    expect(inspected).toMatchObject({
      Digest: reference.digest,
      Created: '2023-11-14T22:13:20Z',
      Architecture: 'amd64',
      Labels: { 'org.opencontainers.image.title': 'test' },
    });
    const config = JSON.parse((await run('skopeo', ['inspect', '--config', 'oci:out:v1'], { cwd })).stdout);
    // Without a base there is nothing to run.
    expect(config.config.Entrypoint).toBeUndefined();
    await run('skopeo', ['copy', 'oci:out:v1', 'docker-archive:copy.tar:example:v1'], { cwd });

    await run('umoci', ['unpack', '--rootless', '--image', 'out:v1', 'unpacked'], { cwd });
    const rootfs = join(cwd, 'unpacked', 'rootfs');
    expect((await readdir(rootfs)).sort()).toEqual(['profiles', 'qcows']);
    expect((await readdir(join(rootfs, 'qcows'))).sort()).toEqual(
      ['control-plane', 'data-plane'].flatMap((name) => [
        `${name}.qcow2`,
        `${name}.qcow2.md5sum`,
        `${name}.qcow2.sha256sum`,
      ]),
    );
    const content = await readFile(controlPlane);
    expect(content.equals(await readFile(join(rootfs, 'qcows', 'control-plane.qcow2')))).toBe(true);
    const md5 = createHash('md5').update(content).digest('hex');
    expect(await readFile(join(rootfs, 'qcows', 'control-plane.qcow2.md5sum'), 'utf8')).toBe(`${md5}\n`);
    expect(artifacts.qcows['control-plane']).toEqual({
      file: 'control-plane.qcow2',
      format: 'qcow2',
      size: content.length,
      virtualSize: 3 << 20,
      md5,
      sha256: createHash('sha256').update(content).digest('hex'),
      sha512: createHash('sha512').update(content).digest('hex'),
    });
    expect(JSON.parse(await readFile(join(rootfs, 'profiles', 'artifacts.json'), 'utf8'))).toEqual(artifacts);
    for (const path of ['qcows', 'profiles'])
      expect((await stat(join(rootfs, path))).mode & 0o777).toBe(0o755);
    expect((await stat(join(rootfs, 'qcows', 'control-plane.qcow2'))).mode & 0o777).toBe(0o644);
  });

  test('has the profiles alone in its last layer, marked, and QCOWs in layers that are not compressed', async () => {
    const { reference } = await writeBundle(both(), layout('marked'), { cwd });
    const manifest = JSON.parse(
      await readFile(join(cwd, 'marked/blobs/sha256', reference.digest.slice(7)), 'utf8'),
    );
    const contents = await Promise.all(
      manifest.layers.map(async (layer: { digest: string }) => {
        const { stdout } = await run('tar', ['tvf', join(cwd, 'marked/blobs/sha256', layer.digest.slice(7))]);
        return stdout;
      }),
    );
    const names = contents.map((list) => list.match(/\S+[^/\n]$/gm));
    expect(names).toEqual([
      ['qcows/control-plane.qcow2'],
      ['qcows/data-plane.qcow2'],
      expect.arrayContaining(['qcows/control-plane.qcow2.md5sum', 'qcows/data-plane.qcow2.sha256sum']),
      ['profiles/artifacts.json', 'profiles/profile_multistrap.json'],
    ]);
    expect(contents.join('')).toMatch(/^(\S+ 0\/0 +\d+ 2023-11-14 22:13 \S+\n)+$/);
    expect(manifest.layers.map((layer: { annotations?: object }) => layer.annotations)).toEqual([
      undefined,
      undefined,
      undefined,
      { 'org.airshipit.image-builder.profiles': 'true' },
    ]);
    expect(new Set(manifest.layers.map((layer: { mediaType: string }) => layer.mediaType))).toEqual(
      new Set(['application/vnd.oci.image.layer.v1.tar']),
    );
  });

  test('has the same bytes wherever and whenever it is written', async () => {
    const first = await writeBundle(both(), layout('here/one'), { cwd });
    const copy = join(cwd, 'elsewhere.img');
    await run('cp', [controlPlane, copy]);
    await utimes(copy, 1, 1);
    const again = bundleOf({ 'data-plane': dataPlane, 'control-plane': copy });
    const second = await writeBundle(again, layout('there/two', 'other'), { cwd: await mkdirIn(cwd, 'sub') });
    expect(second.reference.digest).toBe(first.reference.digest);
    expect(await blobNames('sub/there/two')).toEqual(await blobNames('here/one'));
  });

  test('keeps its other tags, and drops only what the replaced tag alone needed', async () => {
    await writeBundle(both(), layout('multi', 'both'), { cwd });
    await writeBundle(bundleOf({ 'control-plane': controlPlane }), layout('multi', 'one'), { cwd });
    const before = await blobNames('multi');
    const { reference } = await writeBundle(
      bundleOf({ 'control-plane': controlPlane }, { labels: { changed: 'yes' } }),
      layout('multi', 'one'),
      { cwd },
    );
    expect((await tags('multi')).sort()).toEqual(['both', 'one']);
    const after = await blobNames('multi');
    // Manifest and configuration were replaced, the layers were not.
    expect(after).toHaveLength(before.length);
    expect(after.filter((name) => !before.includes(name))).toHaveLength(2);
    expect(after).toContain(reference.digest.slice(7));
    await run('skopeo', ['copy', 'oci:multi:both', 'oci:verified:both'], { cwd });
    await run('skopeo', ['copy', 'oci:multi:one', 'oci:verified:one'], { cwd });
  });

  test('that skopeo made gets another tag', async () => {
    await writeBundle(both(), layout('source'), { cwd });
    await run('skopeo', ['copy', 'oci:source:v1', 'oci:skopeo:theirs'], { cwd });
    await writeBundle(bundleOf({ data: dataPlane }), layout('skopeo', 'ours'), { cwd });
    await run('skopeo', ['inspect', 'oci:skopeo:theirs'], { cwd });
    await run('skopeo', ['inspect', 'oci:skopeo:ours'], { cwd });
  });

  test('takes bundles from several writers at once', async () => {
    const names = ['t1', 't2', 't3', 't4', 't5', 't6'];
    await Promise.all(
      names.map((tag) => writeBundle(bundleOf({ [tag]: dataPlane }), layout('busy', tag), { cwd })),
    );
    expect((await tags('busy')).sort()).toEqual(names);
    for (const tag of names) await run('skopeo', ['inspect', `oci:busy:${tag}`], { cwd });
  });
});

test('an OCI archive is read by skopeo and has the digest of the layout', async () => {
  const inLayout = await writeBundle(both(), layout('as-layout'), { cwd });
  const archive = { kind: 'archive', path: 'bundle.tar', tag: 'v1' } as const;
  const { reference } = await writeBundle(both(), archive, { cwd });
  expect(reference.image).toBe(`oci-archive:bundle.tar:v1@${inLayout.reference.digest}`);
  const { stdout } = await run('skopeo', ['inspect', 'oci-archive:bundle.tar:v1'], { cwd });
  expect(JSON.parse(stdout).Digest).toBe(reference.digest);
  await run('skopeo', ['copy', 'oci-archive:bundle.tar:v1', 'oci:from-archive:v1'], { cwd });
});

describe('what is refused leaves nothing behind', () => {
  const refused = async (work: () => Promise<unknown>, code: string): Promise<void> => {
    const before = (await readdir(cwd)).sort();
    await expect(work()).rejects.toMatchObject({ code });
    expect((await readdir(cwd)).filter((name) => !before.includes(name))).toEqual([]);
  };

  test('a file that is not a QCOW2 image', async () => {
    const path = join(cwd, 'no.img');
    await writeFile(path, 'x'.repeat(100));
    await refused(() => writeBundle(bundleOf({ bad: path }), layout('n1'), { cwd }), 'BUNDLE_SOURCE_INVALID');
  });

  test('file names and profile paths that leave their directory', async () => {
    const escaping = { ...both(), qcows: [{ name: 'x', path: dataPlane, fileName: '../x.qcow2' }] };
    await refused(() => writeBundle(escaping, layout('n2'), { cwd }), 'BUNDLE_NAME_INVALID');
    const profiles = [{ path: '/profiles/../x.json', name: 'x', json: '{}' }];
    await refused(
      () => writeBundle(bundleOf({ a: dataPlane }, { profiles }), layout('n2'), { cwd }),
      'BUNDLE_NAME_INVALID',
    );
  });

  test('a directory that is no layout', async () => {
    await writeFile(join(await mkdirIn(cwd, 'mine'), 'thesis.txt'), 'precious');
    await refused(() => writeBundle(both(), layout('mine'), { cwd }), 'LAYOUT_INVALID');
    expect(await readdir(join(cwd, 'mine'))).toEqual(['thesis.txt']);
  });

  test('an aborted write', async () => {
    const controller = new AbortController();
    const written = writeBundle(both(), layout('aborted'), {
      cwd,
      signal: controller.signal,
      onBytes: () => controller.abort(),
    });
    await expect(written).rejects.toMatchObject({ code: 'CANCELLED' });
    expect((await readdir(cwd)).filter((name) => name.startsWith('.') || name === 'aborted')).toEqual([]);
  });
});

async function mkdirIn(parent: string, name: string): Promise<string> {
  const path = join(parent, name);
  await mkdir(path, { recursive: true });
  return path;
}
