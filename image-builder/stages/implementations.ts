// Which code does the work of which kind of stage, and which tools it takes. Loaded only when something is built.

import type { CredentialOptions } from '../oci/credentials/credentials.ts';
import type { PlannedStage, StageKind } from '../pipeline/plan.ts';
import type { StageImplementation } from '../pipeline/stage-runner.ts';
import type { Task } from '../sandbox/tools.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { bootTestStage } from './boot-test/run.ts';
import { bundleStage } from './bundle/run.ts';
import { osconfigStage, rootfsStage } from './common.ts';
import { isoStage } from './iso/run.ts';
import { qcowStage } from './qcow/run.ts';

const TASKS: Record<StageKind, readonly Task[]> = {
  rootfs: ['sandbox', 'rootfs'],
  osconfig: ['sandbox', 'osconfig'],
  qcow: ['sandbox', 'osconfig', 'qcow'],
  iso: ['sandbox', 'iso'],
  'boot-test': [],
  bundle: [],
};

/** What the tools of these stages are needed for. */
export function tasksOf(stages: readonly PlannedStage[]): Task[] {
  return [...new Set(stages.flatMap((stage) => [...TASKS[stage.kind], ...furtherTasks(stage)]))];
}

/** What depends on more than the kind of the stage. */
function furtherTasks({ kind, inputs }: PlannedStage): Task[] {
  const { qcow, architecture = 'amd64' } = inputs as {
    qcow?: ResolvedBuild['qcows'][string]['qcow'];
    architecture?: 'amd64' | 'arm64';
  };
  if (kind === 'boot-test') return [`boot-test-${architecture}`];
  return qcow?.partitions.some(({ filesystem }) => filesystem?.type === 'xfs') ? ['xfs'] : [];
}

/** The implementation of each kind for one build. */
export function stageImplementations(
  resolved: ResolvedBuild,
  options: { cwd: string; cacheDir: string; credentials?: CredentialOptions },
): Record<StageKind, StageImplementation> {
  return {
    rootfs: rootfsStage(resolved, options),
    osconfig: osconfigStage(resolved, options),
    qcow: qcowStage(resolved, options),
    iso: isoStage(resolved),
    'boot-test': bootTestStage({ timeoutSeconds: resolved.bootTest.timeout }),
    bundle: bundleStage(resolved, options),
  };
}
