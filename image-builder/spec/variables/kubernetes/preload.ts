// The container images that a node's disk carries. Pure.
import { IMAGE_NAME } from '../../api/patterns.ts';
import type { KubernetesVariables } from '../../api/types.ts';
import type { ResolvedPreload } from '../resolved-kubernetes.ts';
import { type KubernetesVersion, kubeadmImagesOf } from './minors.ts';

/** The word for the images that kubeadm needs. */
const DEFAULT = 'default';

/** Where a disk has its images: an OCI layout, and the list of their names and digests. */
export const PRELOAD_DIRECTORY = '/var/lib/image-builder/preload';

/** Names in {@link PRELOAD_DIRECTORY}. */
export const LAYOUT_DIRECTORY = 'layout';
export const LIST_FILE = 'images';

/**
 * What a block asks for; undefined when it asks for nothing.
 * @param kubeadm version of the locked package, when there is a lock
 * @param problem told why `default` stands for nothing
 */
export function resolvePreload(
  { preload = [], mirrors = {}, sandboxImage, imageRepository }: KubernetesVariables,
  version: KubernetesVersion,
  { kubeadm, lockIsOptional = false }: { kubeadm?: string | undefined; lockIsOptional?: boolean },
  problem: (message: string) => void,
): ResolvedPreload | undefined {
  if (preload.length === 0) return undefined;
  const isDefault = preload.includes(DEFAULT);
  const sandbox = isDefault && sandboxImage !== undefined ? [sandboxImage] : [];
  const requested = [...new Set([...preload, ...sandbox])];
  if (!isDefault) return { requested, mirrors };
  const isRelease = version.text.split('.').length > 2;
  const release = kubeadm ?? (isRelease ? version.text : undefined);
  if (release === undefined && lockIsOptional) return { requested, mirrors };
  const reason = release === undefined ? releaseMissing(version) : unknownRelease(release);
  if (reason !== undefined) problem(reason);
  if (release === undefined) return undefined;
  return { requested, release, ...(imageRepository !== undefined && { imageRepository }), mirrors };
}

const releaseMissing = ({ text, minor }: KubernetesVersion): string =>
  `has default, the images of a release, but the version is ${text}, whichever release is the newest\nhint: name the release (version: ${minor}.2), or lock the build with "image-builder lock"`;

/** Why nobody knows the images of a release; undefined when they are known. */
export function unknownRelease(release: string): string | undefined {
  return kubeadmImagesOf(release)
    ? undefined
    : `has default, and the images of ${release} are not known to this program\nhint: name them, as "kubeadm config images list" prints them`;
}

/** Whether the images of kubeadm are asked for. */
export const hasDefault = ({ requested }: ResolvedPreload): boolean => requested.includes(DEFAULT);

/** Whether the text names an image in a registry, as the schema wants it. */
export const isImageName = (text: string): boolean => new RegExp(IMAGE_NAME).test(text);

/** The references of all images, sorted. */
export function preloadReferences({ requested, release, imageRepository }: ResolvedPreload): string[] {
  const ofKubeadm = release === undefined ? [] : (kubeadmImagesOf(release, imageRepository) ?? []);
  const named = requested.filter((reference) => reference !== DEFAULT);
  return [...new Set([...named, ...ofKubeadm])].sort();
}
