// Variables of the roles `qcow` and `livecdcontent`: how disks and the live system are made.
import type { LivecdcontentVariables, Partition } from '../api/types.ts';
import type { ResolvedOsconfig, ResolvedScript, ScriptFile } from './resolved-osconfig.ts';

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

/** One QCOW with its own configuration laid over the common one. */
export interface ResolvedQcowImage {
  /** The variables of the root file system with those of this QCOW laid over them. */
  osconfig: ResolvedOsconfig;
  qcow: ResolvedQcow;
  /** scripts/qcow of the manifests. */
  scripts: ScriptFile[];
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
