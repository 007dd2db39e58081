import { findingsOf } from '../../../../image-builder/base/diagnostics/error.ts';
import { formatFieldPath, parseFieldPath } from '../../../../image-builder/base/diagnostics/field-path.ts';
import { ExactNumber } from '../../../../image-builder/base/yaml/values.ts';
import { patternInWords } from '../../../../image-builder/spec/api/pattern-words.ts';
import { ImageBuilder } from '../../../../image-builder/spec/api/schema/image-builder.ts';
import { parseImageBuilder } from '../../../../image-builder/spec/api/validate.ts';

async function findings(spec: unknown, rest: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const head = { apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'x' }, spec };
  try {
    await parseImageBuilder({ ...head, ...rest });
    return {};
  } catch (error) {
    return Object.fromEntries(findingsOf(error).map(({ field, message }) => [field ?? '', message]));
  }
}
const qcow = (variables: unknown) => ({ build: { qcows: { 'control-plane': { qcow: variables } } } });

describe('parseImageBuilder', () => {
  test('returns a valid object as it is', async () => {
    const value = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: {
        name: 'x',
        annotations: { 'config.kubernetes.io/function': 'exec: {path: x}' },
        uid: 'other fields are fine',
      },
      spec: {
        bundle: { image: 'oci:./x', profiles: [{ path: '/profiles/a.json', name: 'a' }] },
        catalogue: { labels: { a: 'b' } },
      },
    };
    expect(await parseImageBuilder(value)).toBe(value);
  });

  test('a mirror is none of apt methods that start programs or read files of this machine', async () => {
    const mirror = [
      'https://a.test/debian',
      'ssh://-oProxyCommand=id/',
      'mirror+file:/etc/shadow',
      'http://a b',
    ];
    expect(Object.keys(await findings({ build: { mirror } }))).toEqual(
      [1, 2, 3].map((index) => `spec.build.mirror[${index}]`),
    );
  });

  test.each(['My Image', '../../evil', 'a_b', '-a', 'a.', 'a..b', 'A', '', 'é', 'x'.repeat(300), 5])(
    'metadata.name %j is no name of an object',
    async (name) => {
      expect(await findings({ build: {} }, { metadata: { name } })).toEqual({
        'metadata.name': expect.any(String),
      });
    },
  );

  test.each(['a', 'node-image', 'site.example.org', '1'])('metadata.name %j', async (name) => {
    expect(await findings({ build: {} }, { metadata: { name } })).toEqual({});
  });

  test('a prefix of names is the beginning of one', async () => {
    expect(await findings({ build: {}, catalogue: { namePrefix: 'blue-' } })).toEqual({});
    for (const namePrefix of ['../', '-a', 'A', '']) {
      expect(Object.keys(await findings({ build: {}, catalogue: { namePrefix } }))).toEqual([
        'spec.catalogue.namePrefix',
      ]);
    }
  });

  test('a number that JavaScript would change is its text, but in data of cloud-init', async () => {
    const big = new ExactNumber('9223372036854775807');
    const build = {
      rootfs: { osconfig: { sysctl: [{ name: 'fs.file-max', value: big }] } },
      iso: { networkData: { links: [big] } },
    };
    const head = { apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'x' } };
    expect((await parseImageBuilder({ ...head, spec: { build } })).spec.build).toEqual({
      ...build,
      rootfs: { osconfig: { sysctl: [{ name: 'fs.file-max', value: '9223372036854775807' }] } },
    });
    expect(await findings({ build: { bootTest: { timeout: new ExactNumber('300.0') } } })).toEqual({
      'spec.build.bootTest.timeout': 'is "300.0", expected an integer',
    });
  });

  test('exactly one of bundle, bundles and build', async () => {
    const none = 'has none of bundle, bundles, build and items, expected exactly one';
    expect(await findings({})).toEqual({ spec: expect.stringContaining(none) });
    const image = { image: 'x' };
    for (const [met, spec] of [
      ['bundle and build', { bundle: image, build: {} }],
      ['bundle and bundles', { bundle: image, bundles: { a: image } }],
      ['bundles and build', { bundles: { a: image }, build: {} }],
    ] as const)
      expect(await findings(spec)).toEqual({ spec: expect.stringContaining(`has ${met}, expected`) });
  });

  test('each of many bundles is checked as one is', async () => {
    const profiles = [{ path: '/profiles/../a.json' }];
    expect(
      await findings({ bundles: { 'a.b': { image: 'x', profiles }, c: { imge: 'x' }, D: { image: 'x' } } }),
    ).toEqual({
      'spec.bundles["a.b"].profiles[0].path': '/profiles/../a.json is outside /profiles of the bundle',
      'spec.bundles.c.image': 'is missing, expected a string',
      'spec.bundles.c.imge': 'unknown field; did you mean image?',
      'spec.bundles.D': expect.stringContaining('name'),
    });
    expect(Object.keys(await findings({ bundles: {} }))).toEqual(['spec.bundles']);
  });

  test('reports everything at once, each with its exact path', async () => {
    const partitions = [
      { mount: '/', part_start: '1MiB', part_end: '100%' },
      { mount: 'relative', part_start: '1MiB', part_end: '5MiB' },
      { mount: '/boot', part_start: '1MiB', part_end: 600, flags: ['bios'] },
      { mount: '/x', part_start: '1MiB' },
    ];
    const found = await findings({
      ...qcow({ partitions, qcow_compress: 'maybe', qcow_capacty: '19G' }),
      bundel: {},
    });
    expect(found).toEqual({
      'spec.bundel': 'unknown field; did you mean bundle?',
      'spec.build.qcows.control-plane.qcow.qcow_capacty': 'unknown field; did you mean qcow_capacity?',
      'spec.build.qcows.control-plane.qcow.qcow_compress':
        'is "maybe", expected one of true, false, yes, no, on, off',
      'spec.build.qcows.control-plane.qcow.partitions[1].mount':
        'is "relative", expected an absolute path, swap or none',
      'spec.build.qcows.control-plane.qcow.partitions[2].part_end':
        'is the number 600, expected a position on the disk, such as 512MiB, 4.5GiB or 100%',
      'spec.build.qcows.control-plane.qcow.partitions[2].flags[0]':
        'is "bios", expected one of bios_grub, boot, esp, swap, legacy_boot, lvm',
      'spec.build.qcows.control-plane.qcow.partitions[3].part_end': expect.stringMatching(
        /^is missing, expected a position/,
      ),
    });
  });

  test('knows other spellings of a field, and lists the fields when none is close', async () => {
    expect(await findings({ build: { bootTest: { Timeout: 1 } } })).toEqual({
      'spec.build.bootTest.Timeout': 'unknown field; did you mean timeout?',
    });
    expect(await findings({ build: { bootTest: { seconds: 1 } } })).toEqual({
      'spec.build.bootTest.seconds': 'unknown field; expected one of: timeout, firmware, kubernetes',
    });
    expect(await findings({ build: { bootTest: { imeout: 1, fimrware: 1 } } })).toEqual({
      'spec.build.bootTest.imeout': 'unknown field; did you mean timeout?',
      'spec.build.bootTest.fimrware': 'unknown field; did you mean firmware?',
    });
  });

  test('wrong types and wrong heads', async () => {
    expect(await findings([])).toEqual({ spec: 'is a list, expected an object' });
    expect(await findings({ bundle: { image: 5 } })).toEqual({
      'spec.bundle.image': 'is the number 5, expected a string; put the value in quotes',
    });
    expect(await findings({ bundle: { image: '' } })).toEqual({
      'spec.bundle.image': 'is empty, expected some text',
    });
    expect(await findings({ bundle: { image: 'x', profiles: [] } })).toEqual({
      'spec.bundle.profiles': 'has 0 items, expected at least 1',
    });
    expect(await findings({ build: { bootTest: { timeout: -1 } } })).toEqual({
      'spec.build.bootTest.timeout': 'is the number -1, expected 0 or more',
    });
    expect(await findings({ build: {} }, { apiVersion: 'airshipit.org/v1' })).toEqual({
      apiVersion: 'is "airshipit.org/v1", expected airshipit.org/v1alpha1',
    });
    expect(await findings({ build: {} }, { metadata: {} })).toEqual({
      'metadata.name': expect.stringMatching(/^is missing, expected a DNS name/),
    });
    expect(await findings({ build: {} }, { metadata: undefined })).toEqual({
      metadata: 'is missing, expected an object',
    });
    await expect(parseImageBuilder(null)).rejects.toThrow('is null, expected an object');
  });

  test('long patterns are said in words', async () => {
    expect(await findings({ build: { bundle: { repository: 'ghcr.io/MyOrg/x' } } })).toEqual({
      'spec.build.bundle.repository':
        'is "ghcr.io/MyOrg/x", expected a lower-case repository without tag or digest, such as registry.example.org/site/qcow-bundle',
    });
    const patterns = [...JSON.stringify(ImageBuilder).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, text = '']) => JSON.parse(text) as string,
    );
    const unsaid = patterns.filter((one) => one.length > 30 && patternInWords(one) === undefined);
    expect(unsaid).toEqual([]);
  });

  test('quotes are only advised where they help', async () => {
    const systemd = [{ name: 'a', enabled: 1 }];
    expect(await findings({ build: { rootfs: { osconfig: { systemd } } } })).toEqual({
      'spec.build.rootfs.osconfig.systemd[0].enabled': expect.not.stringContaining('quotes'),
    });
    expect(await findings(qcow({ qcow_capacity: 20 }))).toEqual({
      'spec.build.qcows.control-plane.qcow.qcow_capacity': 'is the number 20, expected 1048576 or more',
    });
    const files = [{ name: '/a', file_content: 'x', permissions: 755 }];
    expect(await findings({ build: { rootfs: { osconfig: { files } } } })).toEqual({
      'spec.build.rootfs.osconfig.files[0].permissions': expect.stringContaining('in quotes, such as "0755"'),
    });
  });

  test('names of QCOWs and label values', async () => {
    expect(await findings({ build: { qcows: { 'Control Plane': {} } } })).toEqual({
      'spec.build.qcows["Control Plane"]': expect.stringMatching(/^is not a valid name/),
    });
    expect(await findings({ build: {}, catalogue: { labels: { 'example.org/a': true } } })).toEqual({
      'spec.catalogue.labels["example.org/a"]':
        'is the boolean true, expected a string; put the value in quotes',
    });
  });

  test('profiles stay in /profiles and give different catalogues', async () => {
    const profiles = [
      { path: '/profiles/../etc/shadow' },
      { path: '/etc/x' },
      { path: '/profiles/a.json' },
      { path: '/profiles/b.json', name: 'a' },
    ];
    expect(await findings({ bundle: { image: 'x', profiles } })).toEqual({
      'spec.bundle.profiles[0].path': '/profiles/../etc/shadow is outside /profiles of the bundle',
      'spec.bundle.profiles[1].path': expect.stringContaining('expected a path that begins with /profiles/'),
      'spec.bundle.profiles[3].name':
        'gives the catalogue a, like spec.bundle.profiles[2]; set different names',
    });
  });

  test('never shows what may be a secret', async () => {
    const users = [{ name: 'a', password_hash: 'hunter2', ssh_authorized_keys: 'hunter2' }];
    const spec = {
      build: {
        mirror: 'HTTP://user:hunter2@mirror',
        rootfs: {
          osconfig: { user_management: users, files: [{ name: '/a', file_content: ['4711'] }] },
          multistrap: { pasword: 'hunter2' },
        },
        iso: { userData: 4711 },
      },
    };
    const found = await findings(spec);
    expect(Object.keys(found)).toHaveLength(6);
    expect(JSON.stringify(found)).not.toMatch(/hunter2|4711/);
  });

  test('long values are cut', async () => {
    const found = await findings(qcow({ qcow_capacity: 'x'.repeat(5000) }));
    expect(found['spec.build.qcows.control-plane.qcow.qcow_capacity']?.length).toBeLessThan(300);
  });
});

describe('field paths', () => {
  test.each([
    [['spec', 'a-b', 2, 'c'], 'spec.a-b[2].c'],
    [['spec', 'x.y/z', '1'], 'spec["x.y/z"].1'],
    [['spec', 'q"uo]te', 0], 'spec["q\\"uo]te"][0]'],
  ])('%j is %s and back', async (path, text) => {
    expect(formatFieldPath(path)).toBe(text);
    expect(parseFieldPath(text)).toEqual(path);
  });
});
