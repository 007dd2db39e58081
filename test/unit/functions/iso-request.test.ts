// IsoConfiguration as a functionConfig: where cloud-init's data is among the items.
import { readIsoRequest } from '../../../functions/image-builder/handlers/iso-request.ts';
import { parseLabelSelector } from '../../../functions/image-builder/label-selector.ts';
import { InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';
import { ForeignValue } from '../../../image-builder/base/yaml/tags.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const config = (builder = {}, volume = '/srv/images:/config') => ({
  apiVersion: 'airshipit.org/v1alpha1',
  kind: 'IsoConfiguration',
  metadata: { name: 'isogen' },
  builder,
  container: { volume },
});
const userData = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'user-data', labels: { 'airshipit.org/ephemeral-user-data': 'true' } },
  data: { userData: base64('#cloud-config\nhostname: é\n') },
};
const host = {
  apiVersion: 'metal3.io/v1alpha1',
  kind: 'BareMetalHost',
  metadata: { name: 'node01', namespace: 'target', labels: { 'airshipit.org/ephemeral-node': 'True' } },
  spec: { networkData: { name: 'node01-network-data', namespace: 'default' } },
};
const networkData = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'node01-network-data' },
  stringData: { networkData: 'links: []\nnetworks: []\n' },
};
const items = [userData, host, networkData];

function errors(value: Record<string, unknown>, list: Record<string, unknown>[]): string[] {
  try {
    readIsoRequest(value, list, true);
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message.split('\n');
    throw error;
  }
  throw new Error('nothing was wrong');
}

test('by default the labels of airshipctl select the data', () => {
  expect(readIsoRequest(config(), items, true)).toEqual({
    contract: 'IsoConfiguration',
    imageType: 'iso',
    imageName: 'ephemeral.iso',
    volume: '/config',
    metadata: { fileName: 'output-metadata.yaml', hostDirectory: '/srv/images' },
    checksumFile: false,
    build: {
      iso: {
        userData: '#cloud-config\nhostname: é\n',
        networkData: { links: [], networks: [] },
        outputFileName: 'ephemeral.iso',
      },
    },
  });
  expect(readIsoRequest(config(), items, false).volume).toBe('/srv/images');
});

test('selectors and keys can be given; the network data may be selected itself', () => {
  const builder = {
    userDataSelector: { name: 'user-data', labelSelector: '' },
    networkConfigSelector: { kind: 'Secret', name: 'node01-network-data' },
    networkConfigKey: 'networkData',
    outputFileName: 'a.iso',
  };
  expect(readIsoRequest(config(builder), items, true)).toMatchObject({ imageName: 'a.iso' });
});

test.each([
  ['no user data', [host, networkData], 'builder.userDataSelector: no object matches'],
  [
    'two of them',
    [...items, { ...userData, metadata: { ...userData.metadata, name: 'b' } }],
    '2 objects match: Secret user-data, Secret b',
  ],
  [
    'no Secret of the host',
    [userData, host],
    'Secret default/node01-network-data, which BareMetalHost target/node01 names',
  ],
  [
    'a host without network data',
    [userData, { ...host, spec: {} }, networkData],
    'has no spec.networkData.name',
  ],
  [
    'another key',
    [{ ...userData, data: { other: 'eA==' } }, host, networkData],
    'has no key userData; it has other',
  ],
  [
    'no base64',
    [{ ...userData, data: { userData: 'p4ss!' } }, host, networkData],
    'data.userData that is not base64',
  ],
  [
    'encrypted data',
    [{ ...userData, stringData: { userData: new ForeignValue('!vault') } }, host, networkData],
    'Secret user-data has Ansible\'s tag !vault, which is not supported (decrypt it first with "ansible-vault decrypt") at userData',
  ],
  ['binary data', [{ ...userData, data: { userData: '/w==' } }, host, networkData], 'not UTF-8'],
  [
    'wrong network data',
    [userData, host, { ...networkData, stringData: { networkData: 'links: 1' } }],
    'links: is the number 1',
  ],
])('%s', (_, list, message) => {
  const found = errors(config(), list as Record<string, unknown>[]).join('\n');
  expect(found).toContain(message);
  expect(found).not.toContain('p4ss');
});

test('everything that is wrong is said at once', () => {
  const builder = {
    userDataSelector: { lable: 'x' },
    networkConfigSelector: { labelSelector: 'a in b' },
    outputFileName: '../x',
    networkConfigKey: 7,
  };
  const found = errors(config(builder, 'nowhere'), items);
  expect(found).toEqual([
    expect.stringContaining('container.volume: is "nowhere"'),
    expect.stringContaining('builder.userDataSelector.lable: is unknown'),
    expect.stringContaining('builder.networkConfigKey: is not text'),
    expect.stringContaining('builder.outputFileName: is "../x"'),
    expect.stringContaining('builder.userDataSelector: 2 objects match'),
    expect.stringContaining('builder.networkConfigSelector.labelSelector: "a in b"'),
  ]);
});

test.each([
  ['', {}, true],
  ['a', { a: '1' }, true],
  ['!a', { a: '1' }, false],
  ['a=1,b!=2', { a: '1', b: '3' }, true],
  ['a==1 , b in (x, y)', { a: '1', b: 'y' }, true],
  ['b notin (x,y)', {}, true],
  ['b notin (x,y)', { b: 'x' }, false],
  ['airshipit.org/ephemeral-node in (True, true)', { 'airshipit.org/ephemeral-node': 'true' }, true],
  ['airshipit.org/ephemeral-node in (True, true)', { 'airshipit.org/ephemeral-node': 'false' }, false],
  ['toString', {}, false],
])('the selector %j', (selector, labels, expected) => {
  expect(parseLabelSelector(selector)(labels)).toBe(expected);
});

test.each(['a b', 'a in', 'a in x', '=1', 'a=1,', 'a in (x'])('%j is no selector', (selector) => {
  expect(() => parseLabelSelector(selector)).toThrow(SyntaxError);
});
