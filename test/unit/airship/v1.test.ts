// Contract v1: the builder configuration in a mounted volume, as airshipctl passes it.
import { parseContractV1 } from '../../../image-builder/airship/v1.ts';
import { InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';

const CONFIG = `
apiVersion: airshipit.org/v1alpha1
kind: IsoConfiguration
metadata:
  name: isogen
  annotations: {config.kubernetes.io/path: iso.yaml}
builder:
  userDataFileName: user-data
  networkConfigFileName: network-data
  outputFileName: ephemeral.iso
container:
  containerRuntime: docker
  volume: /srv/images:/config
`;
const FILES: Record<string, string> = {
  '/config/builder-conf.yaml': CONFIG,
  '/config/user-data': '#cloud-config\n\nhostname: a\n',
  '/config/network-data': 'links:\n- id: eno4\nnetworks: []\nservices: []\n',
};
const ENVIRONMENT: Record<string, string> = {
  IMAGE_TYPE: 'iso',
  BUILDER_CONFIG: '/config/builder-conf.yaml',
  USER_DATA_FILE: 'user-data',
  NET_CONFIG_FILE: 'network-data',
  OUTPUT_FILE_NAME: 'ephemerial.iso',
  OUTPUT_METADATA_FILE_NAME: 'output-metadata.yaml',
  http_proxy: '',
  LOG_TO_STDERR: 'true',
};

const parse = (environment: Record<string, string>, files: Record<string, string> = {}) =>
  parseContractV1({
    environment: { ...ENVIRONMENT, ...environment },
    readText: async (path) => ({ ...FILES, ...files })[path],
  });
const withConfig = (config: string, environment: Record<string, string> = {}) =>
  parse(environment, { '/config/builder-conf.yaml': config });
const findings = async (parsed: Promise<unknown>): Promise<string[]> => {
  const error = await parsed.catch((thrown: unknown) => thrown);
  if (error instanceof InvalidInputError) return error.message.split('\n');
  throw new Error(`not invalid: ${JSON.stringify(error)}`);
};

test('what airshipctl passes: OUTPUT_FILE_NAME is ignored, the host path is told', async () => {
  expect(await parse({})).toEqual({
    contract: 'v1',
    imageType: 'iso',
    imageName: 'ephemeral.iso',
    volume: '/config',
    metadata: { fileName: 'output-metadata.yaml', hostDirectory: '/srv/images' },
    checksumFile: false,
    build: {
      iso: {
        userData: '#cloud-config\n\nhostname: a\n',
        networkData: { links: [{ id: 'eno4' }], networks: [], services: [] },
        outputFileName: 'ephemeral.iso',
      },
    },
  });
});

test('names come from the configuration where the environment has none', async () => {
  const request = await withConfig(
    CONFIG.replace(
      'userDataFileName: user-data',
      'userDataFileName: ud\n  outputMetadataFileName: out.yaml',
    ).replace('  outputFileName: ephemeral.iso\n', ''),
    {
      USER_DATA_FILE: '',
      NET_CONFIG_FILE: '',
      OUTPUT_METADATA_FILE_NAME: '',
      IMAGE_TYPE: '',
      OUTPUT_FILE_NAME: '',
    },
  ).catch((error: Error) => error);
  expect((request as Error).message).toContain('builder.userDataFileName: /config/ud does not exist');
  const complete = await parse(
    { USER_DATA_FILE: '', OUTPUT_METADATA_FILE_NAME: '' },
    {
      '/config/builder-conf.yaml': CONFIG.replace(
        '  outputFileName: ephemeral.iso\n',
        '  outputMetadataFileName: out.yaml\n',
      ),
    },
  );
  expect(complete).toMatchObject({ imageName: 'ephemeral.iso', metadata: { fileName: 'out.yaml' } });
});

test.each([
  ['/srv/images', { volume: '/srv/images', host: '/srv/images' }],
  ['/srv/images/:/config/', { volume: '/config', host: '/srv/images' }],
  ['/srv/images:/config:Z', { volume: '/config', host: '/srv/images' }],
])('the volume %s', async (volume, expected) => {
  const files = Object.fromEntries(
    ['user-data', 'network-data'].map((name) => [
      `${expected.volume}/${name}`,
      FILES[`/config/${name}`] ?? '',
    ]),
  );
  const request = await parse(
    {},
    { ...files, '/config/builder-conf.yaml': CONFIG.replace('/srv/images:/config', volume) },
  );
  expect(request.volume).toBe(expected.volume);
  expect(request.metadata?.hostDirectory).toBe(expected.host);
});

test.each(['relative:/config', '/a:b', '/a:/', '/a:/b:/c:/d', '7', '[]', '""'])(
  'refuses the volume %s',
  async (volume) => {
    expect((await findings(withConfig(CONFIG.replace('/srv/images:/config', volume)))).join()).toContain(
      'container.volume: is',
    );
  },
);

test('network data may be JSON with tabs', async () => {
  const request = await parse({}, { '/config/network-data': '{\n\t"links": [],\n\t"networks": [], }' });
  expect(request.build.iso?.networkData).toEqual({ links: [], networks: [] });
});

test('everything that is wrong is said at once', async () => {
  const config =
    'builder: {imageType: raw, outputFileName: ../x.iso, networkConfigFileName: 7}\ncontainer: {volume: /a:/config}\n';
  expect(
    await findings(
      withConfig(config, { IMAGE_TYPE: '', USER_DATA_FILE: '../etc/shadow', NET_CONFIG_FILE: '' }),
    ),
  ).toEqual([
    expect.stringContaining('builder.imageType: is "raw"'),
    expect.stringContaining('builder.outputFileName: is "../x.iso"'),
    expect.stringContaining('USER_DATA_FILE: "../etc/shadow" is outside the volume /config'),
    expect.stringContaining('builder.networkConfigFileName: is the number 7'),
  ]);
});

test.each([
  ['no configuration is named', { BUILDER_CONFIG: '' }, {}, 'BUILDER_CONFIG: is not set'],
  ['it does not exist', { BUILDER_CONFIG: '/x' }, {}, '/x does not exist in the container'],
  ['it is no YAML', {}, { '/config/builder-conf.yaml': 'a: [' }, 'at line 1, column 5'],
  ['it is a list', {}, { '/config/builder-conf.yaml': '- a' }, 'is a list, expected a mapping'],
  ['it is empty', {}, { '/config/builder-conf.yaml': '' }, 'container.volume: is nothing'],
  ['builder is text', {}, { '/config/builder-conf.yaml': 'builder: x\n' }, 'builder: is the string "x"'],
  ['user data is empty', {}, { '/config/user-data': ' \n' }, '/config/user-data is empty'],
  ['network data is text', {}, { '/config/network-data': 'hello' }, 'NET_CONFIG_FILE: is the string'],
  [
    'network data has a wrong list',
    {},
    { '/config/network-data': 'links: {}' },
    'NET_CONFIG_FILE.links: is a mapping',
  ],
])('fails when %s', async (_, environment, files, message) => {
  expect((await findings(parse(environment, files as Record<string, string>))).join('\n')).toContain(message);
});

test('a QCOW: the name of the configuration wins over img_name', async () => {
  const files = {
    '/config/builder-conf.yaml':
      'container: {volume: "/srv/images:/config"}\nbuilder: {imageType: qcow, qcowVarsFileName: q.yaml, osconfigVarsFileName: o.yaml}\n',
    '/config/q.yaml': 'img_name: node.qcow2\nqcow_capacity: 8G\n',
    '/config/o.yaml': 'banners: {login: hi}\n',
  };
  const request = await parse({ IMAGE_TYPE: '' }, files);
  expect(request).toMatchObject({
    imageType: 'qcow',
    imageName: 'node.qcow2',
    build: { qcows: { node: { osconfig: { banners: { login: 'hi' } }, qcow: { qcow_capacity: '8G' } } } },
  });
});
