// What the predecessor's users ask of the builder container, whichever contract they use: cut one image from the
// prepared root file system into a mounted directory.
import type { Env } from '../base/env.ts';
import type { BuildSpec } from '../spec/api/types.ts';

/** File name of an ISO that nobody named (contracts v1 and v2). */
export const DEFAULT_ISO_NAME = 'ephemeral.iso';
/** File name of a QCOW that nobody named. */
export const DEFAULT_QCOW_NAME = 'airship-ubuntu.qcow2';

/** What the container does: plain data, made from its environment, its configuration and its standard input. */
export interface CutRequest {
  contract: 'v1' | 'v2' | 'IsoConfiguration';
  imageType: 'iso' | 'qcow';
  /** Directory of the container that the results are written to. */
  volume: string;
  /** File name of the image in the volume. */
  imageName: string;
  /** Key in {@link BuildSpec}'s `qcows`; only for `imageType: qcow`. */
  qcowName?: string;
  /** The file that tells the caller where the image is (v1 and IsoConfiguration). */
  metadata?: {
    fileName: string;
    /** Where the volume is outside of the container: what `bootImagePath` begins with. */
    hostDirectory: string;
  };
  /** Write `<image>.md5sum` beside the image (v2). */
  checksumFile: boolean;
  /** The part of `spec.build` that the caller gave; laid over the specification of the prepared image. */
  build: Pick<BuildSpec, 'iso' | 'qcows'>;
  /** Reference of the builder image itself, when the caller tells it; ends up in the profiles. */
  builderImage?: string;
}

/** The variable's value, or undefined when it is unset or empty (airshipctl passes empty ones). */
export function setting(environment: Env, name: string): string | undefined {
  return environment[name] || undefined;
}

const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Whether a name is one of a file in the volume, not a path. */
export function isFileName(name: string): boolean {
  return FILE_NAME.test(name);
}

/**
 * Name of the QCOW in a build specification, from its file name: `Control_Plane.qcow2` becomes `control_plane`.
 * @param imageName a name for which {@link isFileName} holds.
 */
export function qcowNameOf(imageName: string): string {
  const stem = imageName.replace(/\.qcow2?$/i, '').toLowerCase();
  return stem.replace(/[^a-z0-9]+$/, '') || 'qcow';
}
