// The nouns of a qcow bundle: what a writer puts into one and a reader gets out of it.

/** Paths inside a bundle, as the predecessor's consumers know them. */
export const QCOWS_DIRECTORY = '/qcows';
export const PROFILES_DIRECTORY = '/profiles';
/** Where a bundle of ours describes its own artifacts (sizes and checksums); bundles of the predecessor have no such file. */
export const ARTIFACTS_FILE = '/profiles/artifacts.json';
/** What is installed in the images. Not in /profiles: it is large, and a reader of profiles does not want it. */
export const PACKAGES_FILE = '/manifests/packages.json';
/** What the history of the image says of the layer with the checksums and that file. */
export const PACKAGES_LAYER_HISTORY = 'image-builder: checksums and packages';
/** The same of the layer with the profiles. */
export const PROFILES_LAYER_HISTORY = 'image-builder: profiles';
/** The same of the layers of the function and of what it runs on, at the beginning; scripts/function-base.mjs writes it. */
export const FUNCTION_LAYER_HISTORY = 'image-builder: function: ';
/** The same of a layer with the index of a disk image, before the file name of the image. */
export const INDEX_LAYER_HISTORY = 'image-builder: index of ';
/** The same of a layer with a disk image, before its file name. */
export const IMAGE_LAYER_HISTORY = 'image-builder: ';
/** OCI annotation, on a layer descriptor: this layer alone holds all of /profiles. */
export const PROFILES_LAYER_ANNOTATION = 'org.airshipit.image-builder.profiles';

/** OCI annotation, on a layer descriptor: this layer holds the index of the image with that file name. */
export const INDEX_LAYER_ANNOTATION = 'org.airshipit.image-builder.index';
/** Where the index of the blocks of `<image>` is in a bundle: `<image>.index` in this directory. */
export const INDEX_DIRECTORY = '/manifests';

/** A `profile_*.json` of a bundle: every variable that an image was built with. */
export interface Profile {
  /** Path in the bundle, for example `/profiles/profile_multistrap.json`. */
  path: string;
  /** File name without `.json`: `profile_multistrap`. */
  name: string;
  /** The JSON text, exactly as stored. */
  json: string;
}

/** Hex digests of a file. */
export interface Checksums {
  md5: string;
  sha256: string;
  sha512: string;
}

/** A QCOW2 disk image of a bundle. */
export interface QcowArtifact extends Checksums {
  /** File name under /qcows, for example `control-plane.qcow2`. */
  file: string;
  format: 'qcow2';
  /** Size of the file in bytes. */
  size: number;
  /** Size of the disk that the guest sees, in bytes. */
  virtualSize: number;
  /** In the order of their numbers; bundles of earlier releases do not tell. */
  partitions?: ArtifactPartition[];
  /** Of the root file system, as blkid(8) prints it; Ironic's `image_rootfs_uuid`. Earlier releases do not tell it. */
  rootFSUUID?: string;
}

/** A partition of a disk image, as far as somebody who compares two images wants to know. */
export interface ArtifactPartition {
  /** Partition number, from 1. */
  number: number;
  /** Offset on the disk in bytes. */
  start: number;
  /** Bytes. */
  size: number;
  /** `ext4`, `vfat`, `swap`, ...; absent when it holds no file system. */
  filesystem?: string;
  /** Mount point; absent when it is not mounted. */
  mount?: string;
}

/** The bootable ISO of the ephemeral node. */
export interface IsoArtifact extends Checksums {
  file: string;
  format: 'iso';
  /** Size of the file in bytes. */
  size: number;
}

/** Everything that a build made, by name. Maps, not lists, so that kustomize replacements can address them. */
export interface Artifacts {
  /** What is known of each QCOW; bundles of the predecessor only tell the file and its md5. */
  qcows: Record<
    string,
    Partial<QcowArtifact> &
      Pick<QcowArtifact, 'file' | 'format'> & {
        /** In a registry, when the bundle was published with disks: `oci://registry/repository@sha256:...`. */
        oci?: string;
      }
  >;
  iso?: IsoArtifact;
}

/** Where a bundle is. */
export interface BundleReference {
  /** The full reference, with the digest: `registry.example.org/site/qcow-bundle:v1@sha256:...` or `oci:/dir:v1@sha256:...`. */
  image: string;
  /** Digest of the bundle's manifest: `sha256:...`. */
  digest: string;
}

/** What reading a bundle gives, and what {@link BundleReference | building} one returns. */
export interface BundleContents {
  reference: BundleReference;
  profiles: Profile[];
  artifacts: Artifacts;
}
