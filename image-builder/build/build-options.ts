// The surroundings of a build: all that it needs besides its spec.

import type { Reporter } from '../base/diagnostics/progress.ts';
import type { Env } from '../base/env.ts';
import type { CredentialOptions } from '../oci/credentials/credentials.ts';
import type { PinnedStages, ToolVersions } from '../pipeline/plan.ts';
import type { Policy } from '../policy/policy.ts';
import type { Belief } from '../store/origin.ts';
import type { Clusters } from './kubernetes/cluster.ts';

/** The surroundings of a build. */
export interface BuildOptions {
  /** What relative paths of the spec are relative to. */
  cwd: string;
  /** What the spec may do. */
  policy: Policy;
  /** Whose entries of the store count, when somebody else has judged them; default: as the policy says. */
  believes?: Belief;
  /** Directory of the store; default: see {@link storeDirectory}. */
  store?: string;
  env?: Env;
  /** Credentials for registries beside those of the machine. */
  credentials?: CredentialOptions;
  /** What decides keys where others build; default: this program's own code, and the tools of this machine. */
  builder?: { code: Readonly<Record<string, string>>; tools: ToolVersions };
  /** Whether stages can mount where they run; default: found out by trial, where a key depends on it. */
  mounts?: boolean;
  /** Earlier results to use whatever has changed since; see reuse.ts. */
  pinned?: PinnedStages;
  report: Reporter;
  signal: AbortSignal;
  /** The file of the spec, for messages. */
  file?: string;
  /** Command of this program, to go on in the background; without it nothing can be triggered. */
  program?: readonly string[];
  /** How many builds run at the same time, this one included: they share the memory of the machine. Default: 1. */
  parallelBuilds?: number;
  /** What builds in clusters share that run at the same time; whoever names it closes it. Default: nothing. */
  clusters?: Clusters;
  /** Start a triggered build again although it has failed. */
  retry?: boolean;
}
