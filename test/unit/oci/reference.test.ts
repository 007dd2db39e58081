// References, proxies, credentials and history: the pure parts of reading.

import { planByHistory, verdict } from '../../../image-builder/bundle/read/layer-plan.ts';
import { matchKey, parseCredentialConfig } from '../../../image-builder/oci/credentials/config-file.ts';
import { parseChallenges } from '../../../image-builder/oci/distribution/auth.ts';
import { retryAfter } from '../../../image-builder/oci/http/client.ts';
import { proxyFor } from '../../../image-builder/oci/http/proxy.ts';
import { parseConfig, parseManifest } from '../../../image-builder/oci/manifest.ts';
import { layerCompression } from '../../../image-builder/oci/media-types.ts';
import { choosePlatform } from '../../../image-builder/oci/platform.ts';
import { formatReference, parseReference } from '../../../image-builder/oci/reference.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as const;

describe('references', () => {
  it.each([
    ['ubuntu', 'docker.io/library/ubuntu:latest'],
    ['site/bundle:v1', 'docker.io/site/bundle:v1'],
    ['index.docker.io/library/ubuntu', 'docker.io/library/ubuntu:latest'],
    [
      'quay.io/airshipit/qcow-bundle:k8s-1.21-latest-ubuntu_focal',
      'quay.io/airshipit/qcow-bundle:k8s-1.21-latest-ubuntu_focal',
    ],
    ['localhost/x', 'localhost/x:latest'],
    ['localhost:5000/a/b/c:t', 'localhost:5000/a/b/c:t'],
    ['[::1]:5000/x:t', '[::1]:5000/x:t'],
    ['127.0.0.1:5000/x', '127.0.0.1:5000/x:latest'],
    [`quay.io/x/y@${DIGEST}`, `quay.io/x/y@${DIGEST}`],
    [`quay.io/x/y:v1@${DIGEST}`, `quay.io/x/y:v1@${DIGEST}`],
    ['docker://quay.io/x/y:v1', 'quay.io/x/y:v1'],
    ['oci://quay.io/x/y:v1', 'quay.io/x/y:v1'],
    ['oci:/a/dir:v1', 'oci:/a/dir:v1'],
    ['oci:relative', 'oci:relative'],
    ['oci:ok@x:v1', 'oci:ok@x:v1'],
    ['oci:/srv/job@2/users@example.org/out', 'oci:/srv/job@2/users@example.org/out'],
    [`oci:/srv/job@2:v1@${DIGEST}`, `oci:/srv/job@2:v1@${DIGEST}`],
    ['oci:/a b/c\\:d:v1', 'oci:/a b/c\\:d:v1'],
    ['oci:a\\b:v1', 'oci:a\\\\b:v1'],
    ['oci:a\\\\:v1', 'oci:a\\\\:v1'],
    [`oci:a\\@${DIGEST}`, `oci:a\\@${DIGEST}`],
    [`oci:/a/dir:v1@${DIGEST}`, `oci:/a/dir:v1@${DIGEST}`],
    ['oci-archive:/a.tar:docker.io/x/y:1', 'oci-archive:/a.tar:docker.io/x/y:1'],
    ['docker-archive:a.tar.gz:site/x:v1', 'docker-archive:a.tar.gz:site/x:v1'],
    ['docker-daemon:site/x:v1', 'docker-daemon:site/x:v1'],
    ['docker-daemon:busybox', 'docker-daemon:busybox:latest'],
    [`docker-daemon:${DIGEST}`, `docker-daemon:${DIGEST}`],
  ])('%s is %s', (text, canonical) => {
    expect(formatReference(parseReference(text))).toBe(canonical);
    expect(parseReference(canonical)).toEqual(parseReference(text));
  });

  it.each([
    '/srv/a:b',
    '/srv/a@b',
    '/srv/a\\',
    '/srv/a\\:b',
    `/srv/x@${DIGEST}`,
    '/a b',
    ':',
    '@',
    '\\@sha256:',
  ])('to the path %s can be written down and read back', (path) => {
    for (const transport of ['oci', 'oci-archive', 'docker-archive'] as const) {
      for (const rest of [{}, { tag: 'v1' }, { digest: DIGEST }, { tag: 'site/x:v1', digest: DIGEST }]) {
        const reference = { transport, path, ...rest };
        expect(parseReference(formatReference(reference))).toEqual(reference);
      }
    }
  });

  it.each([
    '',
    ' ',
    'a b',
    'oci:/x@sha256:short',
    'r.example.org:99999/x',
    '[:::]/x',
    '256.1.1.1/x',
    'quay.io/Upper',
    'quay.io/',
    'quay.io//x',
    'x:',
    'x:-bad',
    'x@sha256:short',
    'quay.io:port/x',
    'oci:',
    'oci::tag',
    '\toci:0/x/y',
    'docker://oci:5000/x/y',
    ' docker-archive:1/x',
    'oci:/x:',
    'a/../b',
    'x@md5:00',
    `${'a/'.repeat(200)}b`,
  ])('"%s" is none', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  });
});

describe('proxies', () => {
  const environment = { HTTPS_PROXY: 'http://p:1', http_proxy: 'p:2' };
  const proxy = (url: string, noProxy = '') =>
    proxyFor(new URL(url), { ...environment, NO_PROXY: noProxy })?.host;
  it.each([
    ['https://a.example.org/', '', 'p:1'],
    ['http://a.example.org/', '', 'p:2'],
    ['https://127.0.0.1:5000/', '', undefined],
    ['https://localhost/', '', undefined],
    ['https://[::1]/', '', undefined],
    ['https://a.example.org/', 'example.org', undefined],
    ['https://a.example.org/', '.example.org', undefined],
    ['https://a.example.org/', '*.example.org', undefined],
    ['https://example.org/', '*.example.org', 'p:1'],
    ['https://badexample.org/', 'example.org', 'p:1'],
    ['https://a.example.org:5000/', 'a.example.org:5000', undefined],
    ['https://a.example.org/', 'a.example.org:5000', 'p:1'],
    ['https://10.1.2.3/', '10.0.0.0/8', undefined],
    ['https://11.1.2.3/', '10.0.0.0/8', 'p:1'],
    ['https://[fd00::1]/', 'fd00::/8', undefined],
    ['https://a.example.org/', 'x, *', undefined],
  ])('%s without %s goes through %s', (url, noProxy, expected) => expect(proxy(url, noProxy)).toBe(expected));

  it('are never SOCKS, and never shown', () => {
    const socks = { https_proxy: 'socks5://user:secret@p:1' };
    expect(() => proxyFor(new URL('https://x.org'), socks)).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION' }),
    );
    expect(() => proxyFor(new URL('https://x.org'), socks)).not.toThrow('secret');
  });
});

describe('credentials', () => {
  const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
  const config = parseCredentialConfig(
    JSON.stringify({
      auths: {
        'https://index.docker.io/v1/': auth('hub:1'),
        'quay.io': auth('host:1'),
        'quay.io/team': auth('team:1'),
        '*.example.org': auth('glob:1'),
        'registry.example.com': {},
      },
    }),
    'test',
  );
  it.each([
    ['docker.io', 'library/x', 'hub'],
    ['quay.io', 'other/x', 'host'],
    ['quay.io', 'team/x', 'team'],
    ['quay.io', 'team2/x', 'host'],
    ['a.example.org', 'x', 'glob'],
  ])('%s/%s: %s', (registry, repository, username) =>
    expect(matchKey(config.auths, registry, repository)).toMatchObject({ username }),
  );
  it('are not guessed', () => {
    expect(matchKey(config.auths, 'a.b.example.org', 'x')).toBeUndefined();
    expect(matchKey(config.auths, 'registry.example.com', 'x')).toBe('empty');
    expect(() => parseCredentialConfig('{"auths": secret', 'file')).toThrow('file is not JSON');
    expect(() => parseCredentialConfig('{"auths": secret', 'file')).not.toThrow('secret');
  });
});

it('parses challenges with quotes and commas', () => {
  expect(
    parseChallenges(
      'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push", Basic realm="a \\"b\\""',
    ),
  ).toEqual([
    { scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' } },
    { scheme: 'basic', parameters: { realm: 'a "b"' } },
  ]);
});

it('reads Retry-After in seconds and as a date', () => {
  expect(retryAfter('3')).toBe(3000);
  expect(retryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000)).toBe(6000);
  expect(retryAfter('soon')).toBeUndefined();
});

describe('history', () => {
  it.each([
    ['/bin/sh -c #(nop) COPY multi:7c9d in /profiles/ ', 'writes'],
    ['COPY profiles /profiles # buildkit', 'writes'],
    ['COPY --chown=1:1 a.json b.json /profiles/', 'writes'],
    ['/bin/sh -c #(nop) COPY file:1 in /profiles/profile_multistrap.json', 'writes'],
    ['COPY qcows /qcows # buildkit', 'writes elsewhere'],
    ['/bin/sh -c #(nop) ADD file:5a in / ', 'unknown'],
    ['COPY . /', 'unknown'],
    ['COPY profiles profiles', 'unknown'],
    ['RUN /bin/sh -c rm -r /profiles # buildkit', 'unknown'],
    ['COPY /a /b && echo /qcows', 'writes elsewhere'],
    ['COPY a /profiles', 'writes'],
    ['COPY /profiles', 'unknown'],
    ['/bin/sh -c #(nop) COPY in /profiles ', 'unknown'],
    ['/bin/sh -c #(nop) CMD ["/x" "in" "/profiles"]', 'unknown'],
    ['COPY a /profiles/ # other', 'unknown'],
    ['COPY ["a b", "/qcows"]', 'unknown'],
    ['image-builder: profiles', 'writes'],
    ['image-builder: control-plane.qcow2', 'writes elsewhere'],
    ['image-builder: checksums and packages', 'writes elsewhere'],
    ["image-builder: function: Debian's nodejs 20", 'writes elsewhere'],
    ['image-builder: something new', 'unknown'],
    ['', 'unknown'],
  ])('%s: %s', (createdBy, expected) => expect(verdict(createdBy, ['profiles'])).toBe(expected));

  it('takes no longer than its text is long', () => {
    const started = process.cpuUsage();
    for (const text of [
      `COPY ${' '.repeat(1_000_000)}/x y`,
      `COPY ${'a '.repeat(500_000)}!`,
      `COPY a /${'a'.repeat(1_000_000)} #`,
      `/bin/sh -c #(nop) COPY ${' in /x'.repeat(200_000)} !`,
    ])
      verdict(text, ['profiles']);
    parseReference(`oci:${'\\\\'.repeat(500_000)}x@${DIGEST}`);
    expect(process.cpuUsage(started).user).toBeLessThan(3_000_000);
  });

  it('counts only when it fits the layers', () => {
    const layer = { mediaType: '', digest: DIGEST, size: 1 };
    const manifest = {
      schemaVersion: 2,
      mediaType: '',
      config: layer,
      layers: [layer, layer],
      annotations: {},
    } as const;
    const config = (steps: string[]) =>
      parseConfig(
        Buffer.from(JSON.stringify({ history: steps.map((created_by) => ({ created_by })) })),
        'test',
      );
    const plan = (steps: string[], verification: 'partial' | 'verified' = 'partial') =>
      planByHistory({ ...manifest, layers: [layer, layer] }, config(steps), ['profiles'], verification);
    const based = ['ADD file:1 in /', 'COPY a /profiles/'];
    expect(plan(based)).toMatchObject({ coverage: 'partial', layers: [layer] });
    // A base image may have what is wanted as well: only a guess leaves it out.
    expect(plan(based, 'verified')).toMatchObject({ coverage: 'full', layers: [layer, layer] });
    expect(plan(['COPY a /profiles/'])).toMatchObject({ coverage: 'full', layers: [layer, layer] });
    const elsewhere = ['COPY a /profiles/', 'COPY b /qcows/'];
    for (const verification of ['partial', 'verified'] as const) {
      expect(plan(elsewhere, verification)).toMatchObject({
        coverage: 'verified',
        layers: [layer],
        leftOut: [{ destination: 'qcows' }],
      });
    }
  });

  it('of our builder is as good as its mark, with nothing above', () => {
    const [lower, upper] = [
      { mediaType: '', digest: DIGEST, size: 1 },
      { mediaType: '', digest: DIGEST, size: 2 },
    ];
    const manifest = { schemaVersion: 2, mediaType: '', config: lower, annotations: {} } as const;
    const config = (steps: string[]) =>
      parseConfig(
        Buffer.from(JSON.stringify({ history: steps.map((created_by) => ({ created_by })) })),
        'test',
      );
    const plan = (...steps: string[]) =>
      planByHistory({ ...manifest, layers: [lower, upper] }, config(steps), ['profiles'], 'verified').layers;
    expect(plan('ADD file:1 in /', 'image-builder: profiles')).toEqual([upper]);
    expect(plan('image-builder: profiles', 'RUN x')).toEqual([upper, lower]);
  });

  it('is not believed about a path where a COPY may have put a link', () => {
    const layers = [1, 2, 3].map((size) => ({ mediaType: '', digest: DIGEST, size }));
    const manifest = { schemaVersion: 2, mediaType: '', config: layers[0], layers, annotations: {} } as const;
    const kept = (...steps: string[]) =>
      planByHistory(
        manifest as never,
        parseConfig(
          Buffer.from(JSON.stringify({ history: steps.map((created_by) => ({ created_by })) })),
          'test',
        ),
        ['profiles'],
        'verified',
      ).layers.map(({ size }) => size);
    expect(kept('COPY a /profiles/', 'COPY b /data', 'COPY c /data/sub/')).toEqual([3, 1]);
    expect(kept('COPY a /profiles/', 'COPY b /data', 'COPY c /data')).toEqual([3, 1]);
    expect(kept('COPY a /profiles/', 'COPY b /data/', 'COPY c /data/')).toEqual([1]);
    expect(kept('COPY a /profiles/', 'COPY b /data/', 'COPY c /database')).toEqual([1]);
  });
});

describe('manifests', () => {
  const manifest = (document: object, type = '') =>
    parseManifest(Buffer.from(JSON.stringify(document)), type, 'test');
  const oci = 'application/vnd.oci.image.manifest.v1+json';
  const descriptor = { mediaType: 'x', digest: DIGEST, size: 1 };
  it.each([
    [{ config: descriptor, layers: [], manifests: [] }, 'INVALID_MANIFEST'],
    [{ config: descriptor, layers: [{ ...descriptor, size: -1 }] }, 'INVALID_MANIFEST'],
    [{ config: descriptor, layers: [{ ...descriptor, size: 1e300 }] }, 'INVALID_MANIFEST'],
    [
      { config: descriptor, layers: [{ ...descriptor, digest: 'sha256:../../etc/passwd' }] },
      'INVALID_MANIFEST',
    ],
    [{ config: descriptor, layers: 'x' }, 'INVALID_MANIFEST'],
    [{ mediaType: oci, manifests: [] }, 'INVALID_MANIFEST'],
    [{ mediaType: 'text/plain', config: descriptor, layers: [] }, 'UNSUPPORTED_MEDIA_TYPE'],
    [{ schemaVersion: 1, fsLayers: [] }, 'UNSUPPORTED_MEDIA_TYPE'],
    [[], 'INVALID_MANIFEST'],
  ])('%j is refused', (document, code) =>
    expect(() => manifest(document)).toThrow(expect.objectContaining({ code })),
  );

  it('must be what they were announced as', () => {
    expect(() =>
      manifest(
        { mediaType: oci, config: descriptor, layers: [] },
        'application/vnd.docker.distribution.manifest.v2+json',
      ),
    ).toThrow(expect.objectContaining({ code: 'INVALID_MANIFEST' }));
  });

  it('with foreign or unknown layers are refused', () => {
    for (const type of [
      'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
      'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
      '',
    ]) {
      expect(() => layerCompression(type)).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_MEDIA_TYPE' }),
      );
    }
  });

  it('are chosen by platform; attestations and disks never', () => {
    const entry = (os: string, architecture: string, annotations = {}) => ({
      ...descriptor,
      mediaType: oci,
      platform: { os, architecture },
      annotations,
    });
    const index = (...manifests: ReturnType<typeof entry>[]) =>
      ({ schemaVersion: 2, mediaType: '', manifests, annotations: {} }) as const;
    const [amd, arm] = [entry('linux', 'amd64'), entry('linux', 'arm64')];
    const wanted = { os: 'linux', architecture: 'arm64' };
    expect(choosePlatform(index(amd, arm), wanted, false, 'x')).toBe(arm);
    expect(
      choosePlatform(
        index(amd, entry('unknown', 'unknown'), entry('linux', 'arm64', { disktype: 'qcow2' })),
        wanted,
        false,
        'x',
      ),
    ).toBe(amd);
    expect(() => choosePlatform(index(amd), wanted, true, 'x')).toThrow(
      expect.objectContaining({ code: 'NO_MATCHING_PLATFORM', hint: 'It has linux/amd64.' }),
    );
  });
});
