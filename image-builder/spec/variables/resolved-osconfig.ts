// Variables of the role `osconfig`: what is configured in the tree of an image.

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

/** A unit of systemd: written whole, overridden by a drop-in, or only enabled, disabled or masked. */
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

/** A script that runs in the tree. */
export interface ResolvedScript extends InContexts {
  name: string;
  file_content: string;
}

/** An account that is made, changed or removed. */
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

/** A file that is fetched into the image. */
export interface ResolvedDownload extends Ownership, InContexts {
  url: string;
  dest: string;
  checksum?: string;
  use_proxy: boolean;
}

/** A line of limits.conf(5). */
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

/** A script of `scripts/common` or `scripts/qcow`; they run in the order of their file names. */
export interface ScriptFile {
  /** File name without a directory. */
  name: string;
  content: string;
}
