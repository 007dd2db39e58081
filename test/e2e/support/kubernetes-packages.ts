// Repositories with the real packages of a Kubernetes node, which scripts/kubernetes-packages.sh has made: one shaped as
// pkgs.k8s.io has it for each minor version, and one with containerd 2 as Docker's.
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileServer, forgetKey, makeKey, publishFlat, publishSuite } from './apt-repository.ts';

const cache = join(__dirname, '../../../.cache/kubernetes');

/** The minor version of which there always are packages. */
const NEWEST = '1.37';

/** Repositories that are being served. */
export interface KubernetesPackages {
  /** Fields of spec.build.kubernetes for a minor version. */
  source(minor: string): { source: string; keyringURL: string; keyringChecksum: string };
  /** The repository of the container runtime, for repos_append. */
  docker: object;
  stop(): Promise<void>;
}

/**
 * @param directory for everything; it must exist
 * @param codename suite of the runtime's repository
 * @param minors older ones are made when they are asked for
 */
export async function serveKubernetesPackages(
  directory: string,
  codename: string,
  minors: readonly string[] = [NEWEST],
): Promise<KubernetesPackages> {
  const www = join(directory, 'packages');
  const key = makeKey(directory, 'kubernetes');
  for (const minor of minors) {
    const flat = join(www, 'kubernetes', minor);
    place([...packagesOf(minor), ...packagesOf('runtime', 'kubernetes-cni_')], flat);
    publishFlat(flat, key);
    writeFileSync(join(flat, 'Release.key'), key.armoured);
  }
  place(packagesOf('runtime', 'containerd.io_'), join(www, 'docker/pool'));
  publishSuite(join(www, 'docker'), codename, key);
  const server = new FileServer(www);
  const url = await server.start();
  const keyringChecksum = `sha256:${createHash('sha256').update(key.armoured).digest('hex')}`;
  const source = (minor: string) => {
    const base = `${url}/kubernetes/${minor}`;
    return { source: base, keyringURL: `${base}/Release.key`, keyringChecksum };
  };
  return {
    source,
    docker: {
      name: 'docker',
      source: `${url}/docker`,
      suite: codename,
      components: 'main',
      keyring: key.armoured,
    },
    async stop() {
      await server.stop();
      forgetKey(key);
    },
  };
}

/** Where the programs of a control plane are, as PATH names them. */
export function controlPlaneDirectories(minor: string): string[] {
  const directories = [`${minor}-control-plane`, 'etcd'].map((name) => join(cache, name));
  const missing = directories.find((directory) => !existsSync(directory));
  if (missing) throw new Error(`${missing} does not exist: scripts/kubernetes-packages.sh`);
  return directories;
}

function packagesOf(name: string, prefix = ''): string[] {
  const directory = join(cache, name);
  if (!existsSync(directory))
    throw new Error(`${directory} does not exist: scripts/kubernetes-packages.sh --all`);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.deb') && file.startsWith(prefix))
    .map((file) => join(directory, file));
}

function place(files: readonly string[], directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const file of files) copyFileSync(file, join(directory, file.slice(file.lastIndexOf('/'))));
}
