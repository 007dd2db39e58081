// The stages `qcow/<name>`: the disk of one image, and its layer in the bundle. Their results: qcow-entry.ts.

import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { fetchesIn } from '../osconfig/fetches.ts';
import { toolsOfScripts } from '../osconfig/proc-of-scripts.ts';
import { describeStage } from '../stage.ts';
import type { QcowFacts } from './qcow-entry.ts';
import { type QcowInputs, qcowInputs } from './qcow-inputs.ts';

export const qcow = describeStage<QcowInputs, QcowFacts>({
  kind: 'qcow',
  code: { sandbox: true, data: ['stages/osconfig/ansible'] },
  define: ({ qcows, preload }) =>
    Object.entries(qcows)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, image]) => ({
        name: `qcow/${name}`,
        inputs: qcowInputs(image),
        parents: ['osconfig', ...(preload ? ['preload'] : [])],
        treeOf: 'osconfig',
        tools: [...TOOLS, ...scriptTools(image)],
        fetches: fetchesIn('qcow', image),
      })),
  tasks: ({ qcow }) => [
    ...(['sandbox', 'osconfig', 'qcow'] as const),
    ...(qcow.partitions.some(({ filesystem }) => filesystem?.type === 'xfs') ? (['xfs'] as const) : []),
  ],
  load: () => import('./run.ts'),
});

const scriptTools = ({
  scripts,
  osconfig,
  qcow: { qcow_container_runtime_scripts },
}: ResolvedBuild['qcows'][string]) =>
  toolsOfScripts('qcow', scripts, osconfig.user_scripts, qcow_container_runtime_scripts);

// The libraries compress, or lay out the file system.
const TOOLS = [
  'ansible-core',
  'fdisk',
  'e2fsprogs',
  // Debian 13 has renamed it.
  'libext2fs2',
  'libext2fs2t64',
  'dosfstools',
  'mtools',
  'xfsprogs',
  'grub-common',
  'qemu-utils',
  'libzstd1',
  'zlib1g',
];
