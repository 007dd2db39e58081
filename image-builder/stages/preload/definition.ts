// The stage `preload`: the container images that the disks carry. Its results: preload-entry.ts.
import { describeStage } from '../stage.ts';
import type { PreloadFacts } from './preload-entry.ts';
import { type PreloadInputs, preloadInputs } from './preload-inputs.ts';

export const preload = describeStage<PreloadInputs, PreloadFacts>({
  kind: 'preload',
  code: { sandbox: false, data: [] },
  define: ({ preload: images, rootfs, qcows }) =>
    images && Object.keys(qcows).length > 0
      ? [
          {
            name: 'preload',
            inputs: preloadInputs(images, rootfs.multistrap.rootfs_arch),
            parents: [],
            tools: [],
            fetches: true,
          },
        ]
      : [],
  tasks: () => [],
  load: () => import('./run.ts'),
});
