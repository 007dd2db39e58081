// The examples that no end-to-end test runs are at least what they claim to be.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { readIsoRequest } from '../../../functions/image-builder/handlers/iso-request.ts';
import { parseContractV1 } from '../../../image-builder/airship/v1.ts';
import { parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';

const root = join(__dirname, '../../..');
const examples = join(root, 'examples');
const read = (path: string) => readFileSync(join(examples, path), 'utf8');

test.each(['ci', 'airshipctl', 'container-function'])(
  'every YAML file of examples/%s is valid',
  (directory) => {
    const names = readdirSync(join(examples, directory), { recursive: true, encoding: 'utf8' });
    const yaml = names.filter((name) => name.endsWith('.yaml'));
    expect(yaml.length).toBeGreaterThan(0);
    for (const name of yaml) {
      for (const document of parseAllDocuments(read(join(directory, name))))
        expect(document.errors).toEqual([]);
    }
  },
);

describe('examples/airshipctl', () => {
  const executors = parseAllDocuments(read('airshipctl/executors.yaml')).map((document) => document.toJS());

  test('the IsoConfiguration asks for what is missing among the items, and for nothing else', () => {
    const { config } = executors.find(({ metadata }) => metadata.name === 'iso-from-documents');
    expect(() => readIsoRequest(parse(config), [], true)).toThrow(
      /^error: builder.userDataSelector: no object matches.*\nerror: builder.networkConfigSelector: no object matches.*$/,
    );
  });

  test('the environment of contract v1 is complete', async () => {
    const { spec } = executors.find(({ metadata }) => metadata.name === 'iso-build-image');
    const environment = Object.fromEntries(spec.envVars.map((variable: string) => variable.split('=')));
    const files: Record<string, string> = {
      '/config/builder-conf.yaml': read('airshipctl/builder-conf.yaml'),
      '/config/user-data': '#cloud-config\n',
      '/config/network-data': 'links: []\n',
    };
    const request = await parseContractV1({ environment, readText: async (path) => files[path] });
    expect(request).toMatchObject({ imageName: 'ephemeral.iso', metadata: { hostDirectory: '/srv/images' } });
  });
});

test.each([
  [
    'README.md',
    () => /```yaml\n(apiVersion[\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1],
  ],
  ['examples/node-image', () => read('node-image/image-builder.yaml')],
  ['examples/kubernetes-node', () => read('kubernetes-node/image-builder.yaml')],
])('the object of %s is a build', async (_name, text) => {
  const { metadata, spec } = await parseImageBuilder(parse(text() ?? ''));
  const options = { cwd: root, aptDirectory: '/nonexistent' };
  const { rootfs } = await resolveBuild(metadata.name, spec.build ?? {}, options);
  const requested = [rootfs.multistrap, ...rootfs.multistrap.repos].flatMap(({ packages }) => packages);
  expect(requested.join()).toMatch(/kubelet=|kubernetes-client/);
});
