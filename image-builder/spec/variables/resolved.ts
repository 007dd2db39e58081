// A build with every default filled in: what the planner, the stages and the profiles work from. Plain JSON data,
// so that its hash is the identity of what it describes: nothing in it names the machine that resolved it.
import type { BuildSpec, DebconfSelection, LivecdcontentVariables, Partition } from '../api/types.ts';
import type { Origins } from './origins.ts';
import type { ProfileFacts } from './profile-facts.ts';

/** Where osconfig runs: once on the root file system that all images share, or on the tree of one QCOW. */
export type RunContext = 'common' | 'qcow';

/** A setting `name=value`; without a value it is a bare word (kernel command line, kubelet arguments). */
export interface NameAndValue {
  name: string;
  value?: string;
}

/** Owner and mode of a path in the image. `permissions` is octal text such as `0644`, or symbolic. */
export interface Ownership {
  owner: string;
  group: string;
  permissions: string;
}

/** An item that runs in the contexts that it names. */
interface InContexts {
  run_contexts: RunContext[];
}

export type ResolvedDirectory = { name: string } & Ownership & InContexts;
export type ResolvedFile = { name: string; file_content: string } & Ownership & InContexts;
export type ResolvedFilePermission = { name: string; recurse: boolean } & Partial<Ownership> & InContexts;

export interface ResolvedSystemdUnit extends InContexts {
  /** Unit name with its suffix. */
  name: string;
  file_name?: string;
  file_content?: string;
  override?: string;
  enabled?: boolean;
  /** Whether enabling replaces links that are in its way. */
  force?: boolean;
  masked?: boolean;
}

export interface ResolvedScript extends InContexts {
  name: string;
  file_content: string;
}

export interface ResolvedUser extends InContexts {
  name: string;
  state: 'present' | 'absent';
  uid?: number;
  group?: string;
  groups: string[];
  shell?: string;
  home?: string;
  comment?: string;
  system: boolean;
  /** crypt(5) hash; declared secret, so it is left out of profiles. */
  password_hash?: string;
  /** Whether logging in with the password is forbidden; without a password it is anyway. */
  password_lock?: boolean;
  ssh_authorized_keys: string[];
}

export interface ResolvedDownload extends Ownership, InContexts {
  url: string;
  dest: string;
  checksum?: string;
  use_proxy: boolean;
}

export interface ResolvedLimit {
  name?: string;
  domain: string;
  type: 'soft' | 'hard' | '-';
  item: string;
  value: string;
}

/** Variables of the role `osconfig`; the `_append` lists are merged in and gone. */
export interface ResolvedOsconfig {
  kernel: {
    modules: {
      /** `args` are parameters of the module, as modprobe.d(5) has them: `mode=4 miimon=100`. */
      load: { name: string; args?: string }[];
      blacklist: { name: string }[];
    };
  };
  banners: { login: string; motd: string };
  kubelet: { extra_systemd_args: NameAndValue[] };
  grub: {
    /** Seconds. */
    GRUB_TIMEOUT: number;
    GRUB_CMDLINE_LINUX_DEFAULT: NameAndValue[];
    GRUB_SERIAL_COMMAND: string;
  };
  /** `crashkernel` is the memory that the crash kernel reserves, as on its command line: `768M`. */
  kdump_tools: { crashkernel: string };
  limits: ResolvedLimit[];
  sysctl: { name: string; value: string }[];
  directories: ResolvedDirectory[];
  files: ResolvedFile[];
  systemd: ResolvedSystemdUnit[];
  user_scripts: ResolvedScript[];
  file_permissions: ResolvedFilePermission[];
  user_management: ResolvedUser[];
  fetch_from_url: ResolvedDownload[];
}

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

/** Variables of the role `livecdcontent`. */
export interface ResolvedLivecdcontent {
  mksquashfs_compression: NonNullable<LivecdcontentVariables['mksquashfs_compression']>;
  /** 0: one per processor. */
  mksquashfs_threads: number;
  /** Seconds. */
  squashfs_timeout: number;
  /** Seconds. */
  grub_menu_timeout: number;
  /** Kernel command line of the live system. */
  livecd_cmdline: string;
}

/** Variables of the role `qcow`. */
export interface ResolvedQcow {
  /** File name without `.qcow2`. */
  img_name: string;
  /** Virtual size, for example `19G` (binary units). */
  qcow_capacity: string;
  qcow_compress: boolean;
  qcow_compression_type: 'zstd' | 'zlib';
  partitions: Partition[];
  qcow_container_runtime_scripts: ResolvedScript[];
}

/** A script of `scripts/common` or `scripts/qcow`; they run in the order of their file names. */
export interface ScriptFile {
  /** File name without a directory. */
  name: string;
  content: string;
}

/** The distribution as the build needs it; read from distributions/*.yaml. */
export interface ResolvedDistribution {
  /** Name of the data file: `debian-13`. */
  name: string;
  family: 'debian' | 'ubuntu';
  codename: string;
  /** Version as os-release has it: `13`, `24.04`. */
  version: string;
  /** Package that holds the archive's keys, and where it puts them. */
  keyring: { package: string; path: string };
  /** Packages that every image needs to boot: boot loaders, initramfs, cloud-init, ... (no kernel). */
  boot_packages: string[];
}

/** One QCOW with its own configuration laid over the common one. */
export interface ResolvedQcowImage {
  /** The variables of the root file system with those of this QCOW laid over them. */
  osconfig: ResolvedOsconfig;
  qcow: ResolvedQcow;
  /** scripts/qcow of the manifests. */
  scripts: ScriptFile[];
}

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

/** A Kubernetes node, `spec.build.kubernetes`; what it consists of is among the variables. */
export interface ResolvedKubernetes {
  /** As it was asked for: `1.37`, `1.37.2` or `1.37.2-1.1`. */
  version: string;
  /** Day (YYYY-MM-DD) after which nobody fixes this minor version any more. */
  endOfLife?: string;
}

/** What an image reference stands for. */
export interface PinnedImage {
  /** As it is asked for, with its registry. */
  reference: string;
  /** `sha256:<hex>` of its manifest or index. */
  digest: string;
}

/** The container images that disks carry (`spec.build.kubernetes.preload`). */
export interface ResolvedPreload {
  /** References, and `default`, as they were asked for. */
  requested: string[];
  /** Version of the kubeadm that `default` is about; absent without it, and while it is not known: before a lock is made. */
  release?: string;
  /** Base URLs that are asked before a registry, by its name. */
  mirrors: Record<string, string[]>;
  /** Sorted by their references; absent until somebody has asked the registries. */
  images?: PinnedImage[];
}

/** `spec.build` with every default filled in. */
export interface ResolvedBuild {
  /** metadata.name of the ImageBuilder object. */
  name: string;
  /** The profile that lies over the manifests; it changes nothing by itself. */
  profile?: ProfileFacts;
  /** Absent: nothing is said of Kubernetes as a whole. It changes nothing by itself. */
  kubernetes?: ResolvedKubernetes;
  /** Absent: the disks carry no container images. */
  preload?: ResolvedPreload;
  distribution: ResolvedDistribution;
  /** Base URI of the distribution's mirror without a trailing slash. */
  mirror: string;
  /** That of the security updates, when they are elsewhere. */
  securityMirror?: string;
  /** Where each repository is fetched from, by its name: base URIs with their logins, the first that works is used. */
  sources: Record<string, string[]>;
  /** Where the user has written packages and repositories, for errors. */
  origins: Origins;
  /** The exact packages; absent: what the repositories have when it is built. */
  lock?: ResolvedLock;
  /**
   * What the repositories had when the same was built before: installed instead of what they have now, and in no key. Only
   * for a store that is thrown away.
   */
  replay?: ResolvedLock;
  rootfs: {
    multistrap: ResolvedMultistrap;
    osconfig: ResolvedOsconfig;
    livecdcontent: ResolvedLivecdcontent;
    /** scripts/common of the manifests. */
    scripts: ScriptFile[];
  };
  /** QCOW images by name. */
  qcows: Record<string, ResolvedQcowImage>;
  /** The ISO of the ephemeral node; absent when none is asked for. */
  iso?: {
    outputFileName: string;
    /** Text of user_data, as cloud-init reads it. */
    userData: string;
    /** JSON text of network_data.json. */
    networkData: string;
    /** JSON text of meta_data.json. */
    metaData: string;
  };
  bundle: {
    /** OCI layout directory, as written in the spec (relative to the working directory); default: one in the store. */
    layout?: string;
    /** OCI archive, as written in the spec. */
    archive?: string;
    tag: string;
    /** Repository with its registry; absent when nothing is to be pushed. */
    repository?: string;
    /** Whether the QCOWs are pushed as disks too. */
    disks: boolean;
    /** Which statements are signed when it is pushed; absent: none. */
    attest?: { signature: boolean; provenance: boolean; sbom: boolean; bootTest: boolean };
    /**
     * What lies below the bundle: the function that this program carries, nothing, or an image. `digest` once it is
     * known what the reference stands for.
     */
    base: 'function' | 'none' | { image: string; digest?: string };
    /** Reference of the builder image, for the profiles. */
    builderImage?: string;
  };
  /** The registry by which results of stages are shared. */
  store?: NonNullable<BuildSpec['store']>;
  /** `timeout` in seconds, 0: no boot test. */
  bootTest: {
    timeout: number;
    firmware: ('bios' | 'uefi')[];
    kubernetes?: KubernetesProof;
    /** `spec.build.tests`. */
    tests?: ImageTest[];
  };
  executor: NonNullable<BuildSpec['executor']>;
  /** What happens when the result is in no store. */
  whenMissing: NonNullable<BuildSpec['whenMissing']>;
}
