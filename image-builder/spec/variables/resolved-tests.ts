// What is asked of an image once it has booted.
import type { BuildSpec } from '../api/types.ts';

/** A script of sh that must end with status 0 in the booted image. */
export interface ImageTest {
  /** What it is about, in words: `sysctl net.ipv4.ip_forward`. */
  name: string;
  script: string;
  timeoutSeconds: number;
  /** What it must print, but for white space around it; absent: that does not matter. */
  expected?: string;
}

/** What kubeadm inside of a booted image proves. `preflight`: its checks, and a dry run of `init`. */
export type KubernetesProof = NonNullable<NonNullable<BuildSpec['bootTest']>['kubernetes']>;
