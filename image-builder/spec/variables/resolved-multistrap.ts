// Variables of the role `multistrap`: the packages of the root file system, and where they come from.
import type { DebconfSelection } from '../api/types.ts';

/** An APT repository that packages are installed from: those of the distribution itself are among them. */
export interface ResolvedRepository {
  name: string;
  /** Base URI without a trailing slash and without a login: the preferred one, which the image's own apt gets. */
  source: string;
  /** Suite; ends in `/` for a flat repository. */
  suite: string;
  components: string[];
  packages: string[];
  /** Package of the distribution that holds the keys (taken from the building machine or from the mirror). */
  keyring_pkg?: string;
  keyring_url?: string;
  /** `sha256:<hex>` of what `keyring_url` serves. */
  keyring_checksum?: string;
  /** The keys: ASCII-armoured text, or `base64:` and the binary keyring. A `keyring_file` is read into this. */
  keyring?: string;
  omitdebsrc: boolean;
  /** Whether the image's own apt knows the repository. */
  register_repo_with_rootfs: boolean;
  /** Absent: its Valid-Until counts. */
  check_valid_until?: false;
}

/** Variables of the role `multistrap`; the `_append` lists are merged in and gone. */
export interface ResolvedMultistrap {
  rootfs_arch: 'amd64' | 'arm64';
  /** Version of the Kubernetes packages as apt writes it; absent when the image has none. */
  k8s_version?: string;
  kernel_base_pkg: string;
  /** Empty: no headers. */
  kernel_headers_pkg: string;
  systemd_nic_names_policy: string;
  systemd_nic_alternative_names_policy: string;
  multistrap_retries: number;
  /** Seconds between two attempts. */
  multistrap_retries_delay: number;
  packages: string[];
  unapproved_packages: string[];
  /** Patterns of dpkg(1): files that it leaves out of packages, and those of them that it installs all the same. */
  path_exclude: string[];
  path_include: string[];
  debconf: ResolvedDebconfSelection[];
  /** Date of the distribution's snapshot service; absent: the archive as it is. */
  snapshot?: string;
  /** Whether the distribution's repositories have their firmware, and the image microcode. */
  non_free_firmware: boolean;
  /** Whether the distribution's backports are among the repositories. */
  backports: boolean;
  repos: ResolvedRepository[];
}

/** An answer to a question of debconf(7). The value of the type `password` is secret. */
export type ResolvedDebconfSelection = Omit<DebconfSelection, 'value'> & { value: string };
