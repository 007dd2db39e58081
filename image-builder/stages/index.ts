// The stages of a build: the one list of them.
//
//   rootfs ─► osconfig ─► qcow/<name> ─► bundle
//                  │        ▲  └─► boot-test/<name>/<firmware>
//                  └─► iso  │
//   preload ────────────────┘
import type { ResolvedBuild } from '../spec/variables/resolved.ts';
import { bootTest } from './boot-test/definition.ts';
import { bundle } from './bundle/definition.ts';
import { iso } from './iso/definition.ts';
import { osconfig } from './osconfig/definition.ts';
import { preload } from './preload/definition.ts';
import { qcow } from './qcow/definition.ts';
import { rootfs } from './rootfs/definition.ts';
import type { PlanOptions, Stage, StageOfBuild } from './stage.ts';

/** Every kind of stage; parents come first. */
export const STAGES: readonly Stage[] = [rootfs, osconfig, preload, qcow, bootTest, iso, bundle];

/** The stages of a build, in an order in which parents come first. */
export function stagesOf(build: ResolvedBuild, options: PlanOptions = {}): StageOfBuild[] {
  return STAGES.flatMap((stage) => stage.of(build, options));
}
