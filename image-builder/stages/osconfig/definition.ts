// The stage `osconfig`: the configuration that all images of a build share. Its results: osconfig-entry.ts.
import { describeStage } from '../stage.ts';
import { fetchesIn } from './fetches.ts';
import type { OsconfigFacts } from './osconfig-entry.ts';
import { type OsconfigInputs, osconfigInputs } from './osconfig-inputs.ts';
import { toolsOfScripts } from './proc-of-scripts.ts';

export const osconfig = describeStage<OsconfigInputs, OsconfigFacts>({
  kind: 'osconfig',
  code: { sandbox: true, data: ['stages/osconfig/ansible'] },
  define: ({ rootfs }) => [
    {
      name: 'osconfig',
      inputs: osconfigInputs(rootfs),
      parents: ['rootfs'],
      treeOf: 'rootfs',
      tools: [
        ...['ansible-core', 'tar'],
        ...toolsOfScripts('common', rootfs.scripts, rootfs.osconfig.user_scripts),
      ],
      fetches: fetchesIn('common', rootfs),
    },
  ],
  tasks: () => ['sandbox', 'osconfig'],
  load: () => import('./run.ts'),
});
