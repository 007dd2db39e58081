// What a machine, and whoever starts the program on it, let a spec do. Plain data: whoever needs a part gets that part.

import type { TrustSettings } from '../attestation/trust-settings.ts';

/**
 * Who has asked: a person who names a spec on the command line and answers for it, or a render (kustomize, kpt,
 * airshipctl), which takes whatever a repository holds.
 */
export type Caller = 'person' | 'render';

/** A registry by which results of stages are shared, and whose results are taken out of it. */
export interface TrustedStore {
  /** See {@link matchesRepository}. */
  repository: string;
  /** Ed25519 public keys in PEM, or the base64 between its lines. */
  keys: readonly string[];
  /** Whether to believe whoever may write to it. */
  trustRegistry: boolean;
}

/** What bundles of some repositories must be: what a spec demands comes on top. */
export interface BundleRule {
  /** See {@link matchesRepository}; `*` also matches bundles that are in no registry. */
  repository: string;
  trust: TrustSettings;
}

/** What a spec may do; it can ask for less. Patterns of repositories: see {@link matchesRepository}. */
export interface Policy {
  caller: Caller;
  /** Absolute paths of files and directories that may be read besides the directory that the caller stands in. */
  read: readonly string[];
  /** Absolute paths of directories that results may be written to besides it. */
  write: readonly string[];
  /** Repositories that bundles and results of stages may be pushed to. */
  push: readonly string[];
  /** Shared stores that may be asked, and whom to believe there. */
  stores: readonly TrustedStore[];
  /** Whether a spec may name a store and its keys by itself: a person's, where nothing else names whom to believe. */
  storesOfSpec: boolean;
  /** What bundles must be, in groups: of each group the first rule that matches counts. */
  bundles: readonly (readonly BundleRule[])[];
  /** Builder images of the executors `container` and `kubernetes`: repositories, or references with a digest. */
  images: readonly string[];
  /** Networks of its stages that fetch; `default` is the engine's own. */
  networks: readonly string[];
  /** Namespaces of clusters in which Jobs may be started; `*`: any. */
  namespaces: readonly string[];
  /** Whether a process may be left behind that goes on with a build. */
  backgroundBuilds: boolean;
  /** Whether programs that the machine's registry configuration names are asked for credentials. */
  credentialHelpers: boolean;
}
