import type { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { checkDisks } from '../../../../image-builder/stages/qcow/check-disks.ts';

async function fieldsOf(build: BuildSpec): Promise<string[]> {
  const resolved = await resolveBuild('node', build, { cwd: '/', aptDirectory: '/nonexistent' });
  try {
    checkDisks(resolved);
    return [];
  } catch (error) {
    return (error as InvalidInputError).findings().map(({ field = '' }) => field);
  }
}

const arm64 = { rootfs: { multistrap: { rootfs_arch: 'arm64' as const } } };
const iso = { userData: '#cloud-config\n', networkData: {} };

test('the predecessor’s table is a disk for both architectures', async () => {
  expect(await fieldsOf({})).toEqual([]);
  expect(await fieldsOf({ ...arm64, bootTest: { timeout: 60 } })).toEqual([]);
});

test('what arm64 machines have not is told before anything is built, all at once', async () => {
  const bootTest = { timeout: 60, firmware: ['bios' as const] };
  expect(await fieldsOf({ ...arm64, iso, bootTest })).toEqual([
    'spec.build.iso',
    'spec.build.bootTest.firmware',
  ]);
  expect(await fieldsOf({ iso, bootTest })).toEqual([]);
});
