// What the caller and the program in a Pod of the executor `kubernetes` know of each other.
import type { TrustedStore } from '../../policy/policy.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';

/** `spec.build.executor.kubernetes`. */
export type KubernetesExecutor = NonNullable<ResolvedBuild['executor']['kubernetes']>;

/** Where the program in a Pod finds things. */
export const IN_POD = {
  /** The request, in the Secret of the Job. */
  request: '/run/image-builder/request/request',
  /** `config.json`, and `ca.crt` where the registry has an authority of its own. */
  registry: '/run/image-builder/registry',
  signingKey: '/run/image-builder/signing/key.pem',
  work: '/var/lib/image-builder',
  store: '/var/lib/image-builder/store',
  /** Last words; the cluster keeps 4,096 bytes of them. */
  lastWords: '/dev/termination-log',
} as const;

/** What the containers of a Pod are for, in the order in which they run. Only `build` runs what strangers wrote. */
export const STEPS = ['fetch', 'build', 'push'] as const;
export type Step = (typeof STEPS)[number];

/** What a Pod is to do: one stage. Secret, as the resolved build is. */
export interface StageRequest {
  resolved: ResolvedBuild;
  /** Name of the stage. */
  stage: string;
  /** The key that it must have. */
  key: string;
  /** Whether the container that makes it can mount; the others cannot, and plan the same. */
  mounts: boolean;
  /** Where its parents come from and its result goes; the caller has judged whom to believe. */
  store: TrustedStore;
  /** What decides bytes, or how the network is reached: SOURCE_DATE_EPOCH and proxies. */
  environment: Readonly<Record<string, string>>;
}

/** What the Job is to do that `whenMissing: Trigger` starts: all of a build. Secret. */
export type DriverRequest = Omit<StageRequest, 'stage' | 'key' | 'mounts'>;

/** What decides keys besides the inputs: of the program and the tools in a builder image. */
export interface Builder {
  /** Of Image Builder. */
  version: string;
  /** Hash of the code of each kind of stage; see stages/stage-code.ts. */
  code: Readonly<Record<string, string>>;
  /** Versions of the tools; see stages/tool-versions.ts. */
  tools: Readonly<Record<string, string>>;
}

/** What the program is asked that answers with a {@link Builder}; not secret. */
export interface BuilderQuestion {
  architecture: string;
  /** Names of packages. */
  tools: readonly string[];
}
