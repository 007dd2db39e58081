// A lock file as the build needs it: the exact packages and images of one architecture.

/** A package of a lock file. */
export interface LockedPackage {
  name: string;
  version: string;
  architecture: string;
  /** Name of a repository that has it. */
  repository: string;
  /** Path below the repository's base URI. */
  path: string;
  /** Bytes. */
  size: number;
  /** Hex. */
  sha256: string;
}

/** What a lock file says for one architecture. */
export interface ResolvedLock {
  /** Name of the distribution that it was made for. */
  distribution: string;
  /** The distribution's mirrors at that time: they are what the image's own apt gets. */
  mirrors: { archive: string; security?: string };
  /** Time stamp of everything, in seconds since the epoch. */
  sourceDateEpoch: number;
  /** What was asked for, sorted. */
  requested: string[];
  /** Packages that were forbidden, sorted. */
  unapproved: string[];
  /** Keys that do not stand in the spec (`keyring_url`, `keyring_pkg`), by repository; as in `keyring`. */
  keyrings: Record<string, string>;
  /** Digests of container images by reference; absent: none are carried. */
  images?: Record<string, string>;
  /** Sorted by name. */
  packages: LockedPackage[];
}
