// The container images that a node's disk carries: which they are, and how the booted node gives them to containerd. Pure.
import { IMAGE_NAME } from '../../api/patterns.ts';
import type { KubernetesVariables, OsconfigVariables } from '../../api/types.ts';
import type { ResolvedPreload } from '../resolved-kubernetes.ts';
import { type KubernetesVersion, kubeadmImagesOf } from './minors.ts';

/** The word for the images that kubeadm needs. */
const DEFAULT = 'default';

/** Where a disk has its images: an OCI layout, and the list of their names and digests. */
export const PRELOAD_DIRECTORY = '/var/lib/image-builder/preload';

/** Names in {@link PRELOAD_DIRECTORY}. */
export const LAYOUT_DIRECTORY = 'layout';
export const LIST_FILE = 'images';

const PROGRAM = '/usr/lib/image-builder/import-images';
const UNIT = 'image-builder-preload';

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

/** What imports the images when the node starts. It names none of them: other images leave it as it is. */
export function preloadVariables(): Required<Pick<OsconfigVariables, 'files' | 'systemd'>> {
  return {
    files: [{ name: PROGRAM, file_content: IMPORT, permissions: '0755', run_contexts: ['common'] }],
    systemd: [{ name: UNIT, file_content: SERVICE, enabled: true, run_contexts: ['common'] }],
  };
}

const SERVICE = `[Unit]
Description=Container images that came with the disk
ConditionPathExists=${PRELOAD_DIRECTORY}/${LIST_FILE}
Requires=containerd.service
After=containerd.service
Before=kubelet.service cloud-final.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${PROGRAM}
TimeoutStartSec=1800

[Install]
WantedBy=multi-user.target
`;

// Imported again only if one is missing: after "kubeadm reset" and an emptied /var/lib/containerd, too.
const IMPORT = `#!/bin/sh
# Gives the images of this disk to containerd, and pins them, so that the kubelet does not remove them to make room.
set -eu
cd ${PRELOAD_DIRECTORY}
images() { ctr --namespace k8s.io images "$@"; }
if ! images list | awk 'NR == FNR { has[$1 " " $3] = 1; next } !(($1 " " $2) in has) { exit 1 }' - ${LIST_FILE}; then
  tar --create --directory=${LAYOUT_DIRECTORY} . | images import -
fi
while read -r name digest; do
  images label "$name" io.cri-containerd.pinned=pinned >/dev/null
done <${LIST_FILE}
`;
