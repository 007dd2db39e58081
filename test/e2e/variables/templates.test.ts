// Templates that are more than a reference are rendered by the real Ansible.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidInputError } from '../../../image-builder/diagnostics/error.ts';
import type { BuildSpec } from '../../../image-builder/spec/types.ts';
import { resolveBuild } from '../../../image-builder/variables/resolve.ts';

const resolve = (build: BuildSpec) => resolveBuild('node', build, { cwd: '/', aptDirectory: '/nonexistent' });
const file = (file_content: string) => [{ name: '/etc/x', file_content }];
const home = mkdtempSync(join(tmpdir(), 'home-'));
process.env.HOME = home;
afterAll(() => rmSync(home, { recursive: true }));
const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('image-builder-variables-'));

test('filters, statements, and templates in the values of templates; of all images in one run', async () => {
  const { rootfs, qcows } = await resolve({
    rootfs: {
      multistrap: {
        k8s_version: '1.34.2-1.1',
        kernel_base_pkg: "{{ 'linux-image-' ~ rootfs_arch }}",
        packages: "{{ ['kubelet=' ~ k8s_version] + ['vim'] }}",
      },
      osconfig: { files: file("{{ k8s_version.split('-')[0] }} on {{ kernel_base_pkg }}") },
    },
    qcows: {
      one: { qcow: { img_name: 'n' }, osconfig: { files: file('{{ img_name | upper }} {{ k8s_version }}') } },
      two: { osconfig: { files: file('{% raw %}{{ literal }}{% endraw %}') } },
    },
  });
  expect(rootfs.multistrap.kernel_base_pkg).toBe('linux-image-amd64');
  expect(rootfs.multistrap.packages).toEqual(['kubelet=1.34.2-1.1', 'vim']);
  expect(rootfs.osconfig.files[0]?.file_content).toBe('1.34.2 on linux-image-amd64');
  expect(qcows.one?.osconfig.files[0]?.file_content).toBe('N 1.34.2-1.1');
  expect(qcows.two?.osconfig.files[0]?.file_content).toBe('{{ literal }}');
  expect(leftovers()).toEqual([]);
  expect(readdirSync(home)).toEqual([]);
});

test('a variable that does not exist is named with the field that refers to it', async () => {
  const error = await resolve({
    rootfs: { osconfig: { banners: { motd: 'fine' }, files: file('{{ no_such_variable }}') } },
  }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(InvalidInputError);
  expect((error as InvalidInputError).findings()).toEqual([
    expect.objectContaining({
      field: 'spec.build.rootfs.osconfig.files[0].file_content',
      message: expect.stringContaining('no_such_variable'),
    }),
  ]);
  expect(leftovers()).toEqual([]);
});

test('a template that does not parse is named', async () => {
  const error = await resolve({ rootfs: { osconfig: { banners: { motd: '{% if %}' } } } }).catch(
    (caught: unknown) => caught,
  );
  expect((error as InvalidInputError).findings()).toMatchObject([
    { field: 'spec.build.rootfs.osconfig.banners.motd' },
  ]);
});

test('what is wrong after rendering is found as if it had been written so', async () => {
  const error = await resolve({
    rootfs: { multistrap: { packages: ["{{ '--option' | lower }}"] } },
  }).catch((caught: unknown) => caught);
  expect((error as InvalidInputError).findings()).toMatchObject([
    { field: 'spec.build.rootfs.multistrap.packages[0]' },
  ]);
});
