// The variables of the roles livecdcontent and qcow with their types as the build uses them.
import type { LivecdcontentVariables, QcowVariables } from '../api/types.ts';
import { resolveScript } from './osconfig.ts';
import type { ResolvedLivecdcontent, ResolvedQcow } from './resolved-images.ts';
import { toBoolean, toNumber, toText } from './values.ts';

/** @param merged the merged, validated variables: defaults at the bottom, so that nothing is missing. */
export function resolveLivecdcontent(merged: Record<string, unknown>): ResolvedLivecdcontent {
  const variables = merged as Required<LivecdcontentVariables>;
  return {
    mksquashfs_compression: variables.mksquashfs_compression,
    mksquashfs_threads: toNumber(variables.mksquashfs_threads),
    squashfs_timeout: toNumber(variables.squashfs_timeout),
    grub_menu_timeout: toNumber(variables.grub_menu_timeout),
    livecd_cmdline: variables.livecd_cmdline,
  };
}

/** @param name key of the QCOW, the default of its file name. */
export function resolveQcow(name: string, merged: Record<string, unknown>): ResolvedQcow {
  const variables = merged as Required<QcowVariables>;
  return {
    img_name: ((merged as QcowVariables).img_name ?? name).replace(/\.qcow2$/, ''),
    qcow_capacity: toText(variables.qcow_capacity),
    qcow_compress: toBoolean(variables.qcow_compress),
    qcow_compression_type: variables.qcow_compression_type,
    partitions: variables.partitions,
    qcow_container_runtime_scripts: variables.qcow_container_runtime_scripts.map(resolveScript),
  };
}
