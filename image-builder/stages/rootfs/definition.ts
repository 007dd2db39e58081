// The stage `rootfs`: the packages that all images of a build share. Its results: rootfs-entry.ts.
import { describeStage } from '../stage.ts';
import type { RootfsFacts } from './rootfs-entry.ts';
import { type RootfsInputs, rootfsInputs } from './rootfs-inputs.ts';

export const rootfs = describeStage<RootfsInputs, RootfsFacts>({
  kind: 'rootfs',
  code: { sandbox: true, data: [] },
  define: (build, options) => [
    {
      name: 'rootfs',
      inputs: rootfsInputs(build, options),
      parents: [],
      // Which packages apt chooses follows from the repositories, which are in no key; how it and dpkg unpack them
      // changes no byte (docs/explanation/builds.md).
      tools: ['mmdebstrap', 'tar'],
      fetches: true,
    },
  ],
  tasks: () => ['sandbox', 'rootfs'],
  load: () => import('./run.ts'),
});
