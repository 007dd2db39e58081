// What a container runtime brings to a node, whichever it is.
import type { OsconfigVariables } from '../../api/types.ts';

type Osconfig = Required<Pick<OsconfigVariables, 'systemd' | 'user_scripts'>>;

/** What the configurations of all runtimes say. */
export interface RuntimeSettings {
  /** Image that holds the namespaces of a Pod. */
  sandboxImage: string;
  cgroupDriver: 'systemd' | 'cgroupfs';
  /** Base URLs that are asked before a registry, by its name; a path is put before the names of repositories. */
  mirrors: Readonly<Record<string, readonly string[]>>;
}

/** A runtime as the rest of the node knows it. */
export interface RuntimeVariables {
  /** Its systemd unit, without `.service`. */
  unit: string;
  /** Socket of its CRI, as kubeadm finds it: a URL. */
  socket: string;
  /** Packages that are held, beside those of Kubernetes. */
  held: readonly string[];
  files: readonly { name: string; content: string }[];
  scripts: Osconfig['user_scripts'];
  /** How it is given the images that the disk carries. */
  importing: {
    /** Packages that the program needs. */
    packages: readonly string[];
    /** A shell program that the node runs before each start of the kubelet; it names no image. */
    program: string;
    /** What else it needs. */
    files: readonly { name: string; content: string; permissions: string }[];
    systemd: Osconfig['systemd'];
  };
}

/** A basic string of TOML; JSON's escapes are among its own. */
export const toml = (text: string): string => JSON.stringify(text);
