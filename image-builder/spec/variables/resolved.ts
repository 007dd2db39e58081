// A build with every default filled in: what the planner, the stages and the profiles work from. Plain JSON data,
// so that its hash is the identity of what it describes: nothing in it names the machine that resolved it.
import type { BuildSpec } from '../api/types.ts';
import type { Origins } from './origins.ts';
import type { ProfileFacts } from './profile-facts.ts';
import type { ResolvedLivecdcontent, ResolvedQcowImage } from './resolved-images.ts';
import type { ResolvedKubernetes, ResolvedPreload } from './resolved-kubernetes.ts';
import type { ResolvedLock } from './resolved-lock.ts';
import type { ResolvedMultistrap } from './resolved-multistrap.ts';
import type { ResolvedOsconfig, ScriptFile } from './resolved-osconfig.ts';
import type { ImageTest, KubernetesProof } from './resolved-tests.ts';

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
  /** Its default package list: what of it an image has belongs to the base that images share. */
  default_packages: string[];
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
