// What the commands copy, inspect and pin do, against a registry in this process.

import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import { copyBundle } from '../../../image-builder/bundle/copy/copy-disks.ts';
import { findReferences } from '../../../image-builder/bundle/pin/find.ts';
import { findUnpinned, pinFiles } from '../../../image-builder/bundle/pin/pin.ts';
import { inspectBundle } from '../../../image-builder/bundle/read/inspect.ts';
import { listFiles, readFiles } from '../../../image-builder/bundle/read/small-files.ts';
import { MULTISTRAP_PROFILE, ownBundle, predecessorBundle } from '../../support/bundles.ts';
import { writeLayout } from '../../support/images.ts';
import { type LayoutServer, type LayoutServerOptions, serveLayouts } from '../../support/layout-server.ts';

let directory: string;
let server: LayoutServer;
const at = (name: string) => join(directory, name);
const options = { cache: false as const, limits: { retries: 1, retryDelay: 1 } };

async function serve(intercept?: LayoutServerOptions['intercept']): Promise<void> {
  await server?.stop();
  server = await serveLayouts({
    repositories: { own: at('own'), old: at('old') },
    ...(intercept && { intercept }),
  });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'commands-'));
  await writeLayout(at('own'), ownBundle({ qcowBytes: 3_000_000, compression: 'none' }));
  await writeLayout(at('old'), predecessorBundle({ qcowBytes: 3_000_000 }));
});
beforeEach(() => serve());
afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe('copy', () => {
  it.each(['own', 'old'])('gets the disk images of %s, verified', async (name) => {
    const target = at(`copy-${name}`);
    const { files } = await copyBundle(`${server.host}/${name}:v1`, target, [], options);
    const qcow = readFileSync(join(target, 'control-plane.qcow2'));
    expect(qcow).toHaveLength(3_000_000);
    const copied = files.find(({ path }) => path.endsWith('.qcow2'));
    expect(copied).toMatchObject({ existed: false, sha256: createHash('sha256').update(qcow).digest('hex') });
    expect(readdirSync(target).filter((file) => file.startsWith('.'))).toEqual([]);
    // The second time it is there already: no layer is fetched for it.
    const again = await copyBundle(`oci:${at(name)}`, target, ['control-plane.qcow2'], options);
    expect(again.files).toEqual([expect.objectContaining({ existed: true })]);
  });

  it.each(['none', 'gzip'] as const)(
    'fetches no byte twice, and of layers without images no more than tells that (%s)',
    async (compression) => {
      const bundle = predecessorBundle({ qcowBytes: 3_000_000, compression, withoutHistory: true });
      const files = Array.from({ length: 116 }, (_, index) => ({
        name: `usr/share/${String(index).padStart(3, '0')}`,
        content: randomBytes(index < 110 ? 1000 : 1_200_000),
      }));
      await writeLayout(at('large-base'), {
        ...bundle,
        layers: [{ entries: files, compression }, ...bundle.layers.slice(1)],
      });
      const [base, qcow] = JSON.parse(
        readFileSync(join(at('large-base'), 'blobs/sha256', manifestHex('large-base')), 'utf8'),
      ).layers as [{ digest: string; size: number }, { digest: string; size: number }];
      expect(base.size).toBeGreaterThan(7_000_000);
      await server.stop();
      server = await serveLayouts({ repositories: { bundle: at('large-base') } });
      const received = new Map<number, number>();
      const report = (event: ProgressEvent) => {
        if (event.type === 'bytes') received.set(event.total ?? 0, event.done);
      };
      await copyBundle(`${server.host}/bundle:v1`, at(`once-${compression}`), [], { ...options, report });
      expect(readFileSync(join(at(`once-${compression}`), 'control-plane.qcow2'))).toHaveLength(3_000_000);
      expect(existsSync(join(at(`once-${compression}`), '.image-builder-download'))).toBe(false);
      // The search may have read some of it by ranges; the whole of it was asked for once.
      const whole = (digest: string) =>
        server.requests.filter(({ path, headers }) => path.endsWith(digest) && !headers.range);
      expect(whole(qcow.digest)).toHaveLength(1);
      expect(received.get(qcow.size)).toBe(qcow.size);
      expect(whole(base.digest)).toHaveLength(compression === 'none' ? 0 : 1);
      expect(received.get(base.size) ?? 0).toBeLessThan(base.size / 2);
    },
    30_000,
  );

  it('takes up a download that was cut off by the end of the process', async () => {
    const target = at('resumed');
    let sent = 0;
    await serve((request, response, { status, headers, body }) => {
      if (request.step !== 'blob' || body.length < 1_000_000) return false;
      if (sent > 0) {
        response.writeHead(503, { 'content-length': '0' }).end();
        return true;
      }
      response.writeHead(status, { ...headers, 'content-length': String(body.length) });
      sent = body.length / 2;
      response.write(body.subarray(0, sent), () => response.destroy());
      return true;
    });
    await expect(copyBundle(`${server.host}/old:v1`, target, [], options)).rejects.toMatchObject({
      code: expect.any(String),
    });
    expect(existsSync(join(target, 'control-plane.qcow2'))).toBe(false);
    const [partial = ''] = readdirSync(join(target, '.image-builder-download'));
    expect(statSync(join(target, '.image-builder-download', partial)).size).toBeGreaterThan(500_000);
    await serve();
    await copyBundle(`${server.host}/old:v1`, target, [], options);
    expect(
      server.requests.filter(({ step }) => step === 'blob').map(({ headers }) => headers.range),
    ).toContainEqual(expect.stringMatching(/^bytes=[1-9]\d+-$/));
    expect(readFileSync(join(target, 'control-plane.qcow2'))).toHaveLength(3_000_000);
  });

  it('begins again when what an earlier run left behind is damaged', async () => {
    const target = at('damaged');
    const layer = JSON.parse(readFileSync(join(at('own'), 'blobs/sha256', manifestHex('own')), 'utf8'))
      .layers[1] as { digest: string };
    mkdirSync(join(target, '.image-builder-download'), { recursive: true });
    writeFileSync(
      join(target, '.image-builder-download', `${layer.digest.slice(7)}.partial`),
      Buffer.alloc(1000, 1),
    );
    await copyBundle(`${server.host}/own:v1`, target, [], options);
    expect(readFileSync(join(target, 'control-plane.qcow2'))).toHaveLength(3_000_000);
  });

  it('puts nothing in place when the content is forged', async () => {
    const target = at('forged');
    await serve((request, response, { status, headers, body }) => {
      if (request.step !== 'blob' || body.length < 1_000_000) return false;
      response.writeHead(status, headers).end(Buffer.concat([body.subarray(0, -1), Buffer.from('x')]));
      return true;
    });
    await expect(copyBundle(`${server.host}/own:v1`, target, [], options)).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
    expect(readdirSync(target).filter((file) => file.endsWith('.qcow2'))).toEqual([]);
  });

  it('names what there is when a file is missing', async () => {
    await expect(copyBundle(`oci:${at('own')}`, at('none'), ['nope.qcow2'], options)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      hint: 'It has control-plane.qcow2.',
    });
  });
});

function manifestHex(name: string): string {
  return JSON.parse(readFileSync(join(at(name), 'index.json'), 'utf8')).manifests[0].digest.slice(7);
}

it('extracts any file, and lists', async () => {
  const reading = await readFiles(
    `${server.host}/old:v1`,
    ['/profiles/profile_multistrap.json', 'qcows/control-plane.qcow2.md5sum'],
    options,
  );
  expect(reading.files[0]?.content.toString()).toBe(MULTISTRAP_PROFILE);
  expect(reading.files[1]?.content.toString()).toMatch(/^[0-9a-f]{32}\n$/);
  const { files } = await listFiles(`${server.host}/old:v1`, ['/qcows'], options);
  expect(files).toEqual([
    { path: '/qcows/control-plane.qcow2', size: 3_000_000 },
    { path: '/qcows/control-plane.qcow2.md5sum', size: 33 },
  ]);
  await expect(readFiles(`${server.host}/old:v1`, ['/profiles/nope'], options)).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  });
  await expect(readFiles(`${server.host}/old:v1`, ['/../../etc/shadow'], options)).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  });
});

it('inspects', async () => {
  const description = await inspectBundle(`${server.host}/own:v1`, options);
  expect(description).toMatchObject({
    labels: { 'org.opencontainers.image.title': 'bundle' },
    platform: 'linux/amd64',
    qcows: { 'control-plane': { file: 'control-plane.qcow2', size: 3_000_000 } },
    readCost: { requests: 2 },
    verification: 'full',
  });
  expect(description.layers.map(({ hasProfiles }) => hasProfiles)).toEqual([false, false, true]);
});

describe('pin', () => {
  const kustomization = (host: string) => `# a site
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
images:
- name: bundle
  newName: ${host}/own
  newTag: v1   # keep
- {name: other, newName: "${host}/own", newTag: "v1"}
- {name: pinned, newName: ${host}/own, newTag: v1, digest: sha256:0}
generators:
- |-
  apiVersion: airshipit.org/v1alpha1
  kind: ImageBuilder
  metadata:
    name: inline
  spec:
    bundle:
      image: ${host}/own:v1 # inline
`;
  const objects = (host: string) => `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata: {name: a}
spec:
    bundle:
        image:   '${host}/old:v1'   # quoted
---
kind: ConfigMap
metadata:
  name: b
  annotations:
    config.kubernetes.io/function: |
      container:
        image: ${host}/own:v1
        network: true
data:
  image: ${host}/own:v1
`;

  it('rewrites only the references, and leaves everything else alone', async () => {
    const site = at('site');
    mkdirSync(site, { recursive: true });
    writeFileSync(join(site, 'kustomization.yaml'), kustomization(server.host));
    writeFileSync(join(site, 'objects.yaml'), objects(server.host));
    const [own, old] = [`sha256:${manifestHex('own')}`, `sha256:${manifestHex('old')}`];

    expect(await findUnpinned([site])).toHaveLength(5);
    const { pinned, failed } = await pinFiles([site], false, options);
    expect([pinned.length, failed]).toEqual([5, []]);
    expect(readFileSync(join(site, 'objects.yaml'), 'utf8')).toBe(
      objects(server.host)
        .replace("/old:v1'", `/old:v1@${old}'`)
        .replace('/own:v1\n        network', `/own:v1@${own}\n        network`),
    );
    expect(readFileSync(join(site, 'kustomization.yaml'), 'utf8')).toBe(
      kustomization(server.host)
        .replace('newTag: v1   # keep', `newTag: v1@${own}   # keep`)
        .replace('newTag: "v1"', `newTag: "v1@${own}"`)
        .replace('/own:v1 # inline', `/own:v1@${own} # inline`),
    );
    expect(await findUnpinned([site])).toEqual([]);
    for (const update of [false, true])
      expect(await pinFiles([site], update, options)).toEqual({ pinned: [], failed: [] });
    // One question for each tag.
    expect(server.requests.filter(({ method }) => method === 'HEAD')).toHaveLength(2 + 2);
  });

  it('finds references however they are written', async () => {
    const file = at('odd.yaml');
    const host = server.host;
    const own = `sha256:${manifestHex('own')}`;
    const object = (image: string, more = '') =>
      `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: a${more}}\nspec:\n  bundle:\n    image: ${image}\n`;
    const annotated = (text: string) =>
      `kind: ConfigMap\nmetadata:\n  annotations:\n    config.kubernetes.io/function: ${text}\n`;
    const texts = [
      object(`>-\n      ${host}/own:v1`),
      object(`|-\n      ${host}/own:v1`),
      object(`|\n      ${host}/own:v1 `),
      object(`"${host}/own:v1" # ${host}/own:v1`),
      object(`&i !!str ${host}/own:v1`),
      `kind: List\nitems:\n- kind: ImageBuilder\n  spec: {bundle: {image: "${host}/own:v1"}}\n`,
      `x: &b {image: ${host}/own:v1}\nkind: ImageBuilder\nspec: {bundle: *b}\n`,
      `x: &b {image: ${host}/own:v1}\nkind: ImageBuilder\nspec: {bundles: {a: *b, c: {image: "oci:out"}}}\n`,
      `x: &b {image: ${host}/own:v1}\nkind: ImageBuilder\nspec: {bundle: {<<: *b}}\n`,
      `images:\n- {name: other, newName: &n "${host}/own", newTag: v1}\n- {name: more, newName: *n, newTag: pinned@${own}}\n`,
      annotated(`"container: {image: '${host}/own:v1', network: true}"`),
      annotated(`|\n      container: {network: true, image: ${host}/own:v1}`),
      annotated(`|\n      container:\n        image: >-\n          ${host}/own:v1`),
    ];
    for (const text of texts) {
      writeFileSync(file, text);
      expect([text, await findUnpinned([file])]).toEqual([text, [expect.objectContaining({ file })]]);
      const { pinned, failed } = await pinFiles([file], false, options);
      expect([text, pinned.length, failed]).toEqual([text, 1, []]);
      expect(readFileSync(file, 'utf8')).toBe(
        text.replace(/newTag: v1\b/, `newTag: v1@${own}`).replace(/own:v1(?!@)/, `own:v1@${own}`),
      );
      expect(await findUnpinned([file])).toEqual([]);
    }
    const uneditable = [
      object('*r', `, annotations: {ref: &r "${host}/own:v1"}`),
      `x: &t v1\nimages:\n- {name: other, newName: ${host}/own, newTag: *t}\n`,
      object(`"${host}\\x2fown:v1"`),
    ];
    for (const text of uneditable) {
      writeFileSync(file, text);
      const line = text.split('\n').findIndex((one) => /\*[rt]|x2f/.test(one)) + 1;
      expect(await findUnpinned([file])).toEqual([
        expect.objectContaining({ line, reference: `${host}/own:v1` }),
      ]);
      const { pinned, failed } = await pinFiles([file], false, options);
      expect([text, pinned]).toEqual([text, []]);
      expect(failed).toEqual([
        expect.objectContaining({ line, error: expect.objectContaining({ code: 'NOT_EDITABLE' }) }),
      ]);
      expect(readFileSync(file, 'utf8')).toBe(text);
    }
  });

  it('pins the others when one image cannot be reached', async () => {
    const file = at('three.yaml');
    const object = (image: string) => `kind: ImageBuilder\nspec: {bundle: {image: "${image}"}}\n`;
    const images = [`${server.host}/own:v1`, `${server.host}/gone:v1`, `${server.host}/old:v1`];
    writeFileSync(file, images.map(object).join('---\n'));
    const { pinned, failed } = await pinFiles([file], false, options);
    expect(pinned.map(({ reference }) => reference)).toEqual([images[0], images[2]]);
    expect(failed).toMatchObject([{ file, line: 5, reference: images[1], error: { code: 'NOT_FOUND' } }]);
    expect(await findUnpinned([file])).toMatchObject([{ line: 5 }]);
  });

  it('takes no longer than a file is long', () => {
    const started = process.cpuUsage();
    const many = (count: number, make: (index: number) => string) =>
      Array.from({ length: count }, (_, n) => make(n)).join('');
    const images = many(1000, (n) => `- {name: a${n}, newName: quay.io/x/y, newTag: v${n}}\n`);
    expect(findReferences(`images:\n${images}`)).toHaveLength(1000);
    const aliases = many(1000, (n) => `- {name: a${n}, newName: *n, newTag: v1}\n`);
    expect(findReferences(`x: &n quay.io/x/y\nimages:\n${aliases}`)).toHaveLength(1000);
    findReferences(`x: |2\n  kind: ImageBuilder\n${'\n'.repeat(200_000)}  y\n`);
    expect(process.cpuUsage(started).user).toBeLessThan(8_000_000);
  });

  it('leaves files alone that it does not understand', () => {
    expect(findReferences('a: [')).toEqual([]);
    expect(findReferences('kind: ImageBuilder\nspec: {bundle: {image: [1]}}')).toEqual([]);
    expect(findReferences('kind: Deployment\nspec: {image: quay.io/x/y:v1}')).toEqual([]);
  });
});
