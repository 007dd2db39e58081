// The stage `iso`: the live system of the ephemeral node. Its results: iso-entry.ts.
import { describeStage } from '../stage.ts';
import type { IsoFacts } from './iso-entry.ts';
import { type IsoInputs, isoInputs } from './iso-inputs.ts';

export const iso = describeStage<IsoInputs, IsoFacts>({
  kind: 'iso',
  code: { sandbox: true, data: [] },
  define: ({ iso, rootfs }) =>
    iso
      ? [
          {
            name: 'iso',
            inputs: isoInputs(rootfs.livecdcontent, iso),
            parents: ['osconfig'],
            treeOf: 'osconfig',
            tools: [
              ...['squashfs-tools', 'xorriso', 'grub-common', 'dosfstools', 'mtools'],
              ...['libzstd1', 'zlib1g'],
            ],
            fetches: false,
          },
        ]
      : [],
  tasks: () => ['sandbox', 'iso'],
  load: () => import('./run.ts'),
});
