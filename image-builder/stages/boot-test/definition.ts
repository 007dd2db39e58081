// The stages `boot-test/<qcow>/<firmware>`: the image must reach its login prompt before it goes anywhere.
import { describeStage } from '../stage.ts';
import type { BootTestFacts, BootTestInputs } from './boot-test-inputs.ts';

export const bootTest = describeStage<BootTestInputs, BootTestFacts>({
  // That an image has booted stays true when the test becomes another one.
  kind: 'boot-test',
  define: ({ bootTest, qcows, rootfs }) =>
    (bootTest.timeout > 0 ? Object.keys(qcows).sort() : []).flatMap((name) =>
      bootTest.firmware.map((firmware) => ({
        name: `boot-test/${name}/${firmware}`,
        inputs: {
          firmware,
          architecture: rootfs.multistrap.rootfs_arch,
          ...(bootTest.kubernetes && { kubernetes: bootTest.kubernetes }),
          ...(bootTest.tests && { tests: bootTest.tests }),
        },
        parents: [`qcow/${name}`],
        // That an image has booted stays true when QEMU is upgraded.
        tools: [],
        fetches: false,
      })),
    ),
  tasks: ({ architecture, kubernetes, tests }) => [
    `boot-test-${architecture}`,
    ...(kubernetes || tests ? (['config-drive'] as const) : []),
    ...(kubernetes === 'join' ? (['control-plane'] as const) : []),
  ],
  load: () => import('./run.ts'),
});
