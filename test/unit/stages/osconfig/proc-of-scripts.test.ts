// Scripts of the spec may leave other bytes where they see no /proc; packages leave the same.
import { planStages } from '../../../../image-builder/pipeline/plan.ts';
import type { BuildSpec } from '../../../../image-builder/spec/api/types.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { stagesOf } from '../../../../image-builder/stages/index.ts';
import { toolVersions } from '../../../../image-builder/stages/tool-versions.ts';
import { sameCode } from '../../../support/same-code.ts';

/** Names of the stages whose keys tell whether there are mounts. */
async function differing(spec: BuildSpec): Promise<string[]> {
  const resolved = await resolveBuild(
    'node',
    { distribution: 'debian-13', qcows: { a: {}, b: {} }, bundle: { base: 'none', layout: 'out' }, ...spec },
    { cwd: '/' },
  );
  const definitions = stagesOf(resolved).map(({ definition }) => definition);
  const tools = new Set(definitions.flatMap((definition) => definition.tools));
  const keys = async (mounts: boolean) =>
    planStages(definitions, sameCode('code'), await toolVersions(tools, 'amd64', mounts)).map(
      ({ key }) => key,
    );
  const [mounted, plain] = [await keys(true), await keys(false)];
  return definitions.map(({ name }) => name).filter((_, index) => mounted[index] !== plain[index]);
}

const script = { name: 'site', file_content: 'date > /etc/built\n' };

test('without scripts of the spec, no key tells whether there are mounts', async () => {
  expect(await differing({})).toEqual([]);
});

test('a script tells it in the keys of its stage and of those that start from that', async () => {
  const rest = ['qcow/a', 'qcow/b', 'bundle'];
  expect(await differing({ rootfs: { osconfig: { user_scripts: [script] } } })).toEqual([
    'osconfig',
    ...rest,
  ]);
  const common = { ...script, run_contexts: ['common' as const] };
  expect(await differing({ rootfs: { osconfig: { user_scripts: [common] } } })).toEqual([
    'osconfig',
    ...rest,
  ]);
  const ofOne = { qcow: { qcow_container_runtime_scripts: [script] } };
  expect(await differing({ qcows: { a: ofOne, b: {} } })).toEqual(['qcow/a', 'bundle']);
});
