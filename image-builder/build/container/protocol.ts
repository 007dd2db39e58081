// What a builder container is asked and answers.
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { stagesOf } from '../../stages/index.ts';
import type { SharedPlan } from '../shared/shared-results.ts';

/** What `image-builder run-build` reads. */
export interface ContainedBuild {
  resolved: ResolvedBuild;
  /** Build nothing, answer with the {@link ContainedPlan}: the tools that decide the keys are those of the image. */
  planOnly?: boolean;
  /** Build these stages and answer nothing. */
  stages?: string[];
  /** Build these stages, as far as the bundle waits for them, and answer nothing. */
  ahead?: string[];
  /** Answer nothing when one of these stages is missing; they need a network that this container does not have. */
  unlessMissing?: string[];
  /** Owner that the results are given: `uid:gid`. */
  owner?: string;
  /** Paths in the store that are mounted read-only. */
  mounted?: string[];
}

/** The plan as the container makes it. */
export type ContainedPlan = Omit<SharedPlan, 'store'>;

/** The stages that need a network: the root file system, and configuration that downloads or runs scripts. */
export function fetchingStages(resolved: ResolvedBuild): string[] {
  return stagesOf(resolved).flatMap(({ fetches, definition }) => (fetches ? [definition.name] : []));
}
