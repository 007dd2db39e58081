// What a kind of stage is: which stages of it a build has, what they need, and the code that does their work.
//
// The descriptions are light, since every render plans; the work is loaded when something is built.
import type { CredentialOptions } from '../oci/credentials/credentials.ts';
import type { StageDefinition } from '../pipeline/plan.ts';
import type { StageImplementation, StageOutcome, StageRun } from '../pipeline/stage-runner.ts';
import type { Task } from '../sandbox/tools.ts';
import type { ResolvedBuild } from '../spec/variables/resolved.ts';

/** What a plan takes from elsewhere than the spec. */
export interface PlanOptions {
  /** Set by the caller's SOURCE_DATE_EPOCH; otherwise the packages decide. Seconds since the epoch. */
  sourceDateEpoch?: number | undefined;
}

/** Where a build works, as far as its stages need to know. */
export interface StageSurroundings {
  /** What relative paths of the spec are relative to. */
  cwd: string;
  /** Directory that outlives the build, for what was fetched. */
  cacheDir: string;
  /** Credentials for registries beside those of the machine. */
  credentials?: CredentialOptions;
}

/** Does the work of one kind of stage: `run` of its run.ts. */
export type StageWork<Inputs, Facts extends object> = (
  run: StageRun & { inputs: Inputs },
  build: ResolvedBuild,
  surroundings: StageSurroundings,
) => Promise<StageOutcome<Facts>>;

/** One kind of stage. */
export interface StageDescription<Inputs, Facts extends object> {
  /** The name of its folder. */
  kind: string;
  /**
   * What its key covers besides the code in run.ts and what that imports: the code that confines tools, and directories
   * below image-builder/ whose files it reads. Absent for a stage whose results stay true when its code changes.
   */
  code?: { sandbox: boolean; data: readonly string[] };
  /** The stages of this kind in a build. Pure. */
  define(
    build: ResolvedBuild,
    options: PlanOptions,
  ): readonly (Omit<StageDefinition<Inputs>, 'kind'> & {
    /** Whether it needs a network. */
    fetches: boolean;
  })[];
  /** What needs tools of the machine. */
  tasks(inputs: Inputs): readonly Task[];
  /** Loads run.ts. */
  load(): Promise<{ run: StageWork<Inputs, Facts> }>;
}

/** A stage of one build. */
export interface StageOfBuild {
  definition: StageDefinition;
  fetches: boolean;
  tasks: readonly Task[];
  implement(surroundings: StageSurroundings): StageImplementation;
}

/** A kind of stage, for those who know none of them. */
export interface Stage extends Pick<StageDescription<never, never>, 'kind' | 'code'> {
  /** The stages of this kind in a build. */
  of(build: ResolvedBuild, options: PlanOptions): StageOfBuild[];
}

/** Ties the inputs that a kind of stage defines to the work that takes them. */
export function describeStage<Inputs, Facts extends object>(
  description: StageDescription<Inputs, Facts>,
): Stage {
  const { kind, code } = description;
  return {
    kind,
    ...(code && { code }),
    of: (build, options) =>
      description.define(build, options).map(({ fetches, ...definition }) => ({
        definition: { ...definition, kind },
        fetches,
        tasks: description.tasks(definition.inputs),
        implement: (surroundings) => async (run) => {
          const work = await description.load();
          return await work.run({ ...run, inputs: definition.inputs }, build, surroundings);
        },
      })),
  };
}
