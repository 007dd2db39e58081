// A registry in the place of registry.k8s.io, as a mirror with a path: small images under the names of the real ones.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BlobDescriptor, LayoutWriter } from '../../support/images.ts';
import { goProgram } from './go-program.ts';
import { skopeoCopy, startRegistry } from './registry.ts';

/** Images that are being served. */
export interface KubernetesImages {
  /** For `spec.build.kubernetes.mirrors`. */
  mirrors: Record<string, string[]>;
  /** Digest of each image by its reference. */
  digests: Record<string, string>;
  stop(): Promise<void>;
}

const isPause = (reference: string) => reference.includes('/pause:');

/**
 * Of the image of sandboxes the program runs, and of those that `programs` has.
 * @param directory for a layout; it must exist
 * @param references of registry.k8s.io, with tags; each becomes a list of images for two architectures
 * @param programs files for this machine's architecture by the name of an image: `etcd`
 */
export async function serveKubernetesImages(
  directory: string,
  references: readonly string[],
  programs: Readonly<Record<string, string>> = {},
): Promise<KubernetesImages> {
  const layout = join(directory, 'kubernetes-images');
  const writer = new LayoutWriter(layout);
  const registry = await startRegistry();
  const digests: Record<string, string> = {};
  // For the architecture of this machine.
  const pause = {
    entries: [{ name: 'pause', content: readFileSync(goProgram('pause')), mode: 0o755 }],
  };
  const base = { entries: [{ name: 'etc/passwd', content: 'root:x:0:0:root:/root:/sbin/nologin\n' }] };
  for (const reference of references) {
    const members: BlobDescriptor[] = [];
    const [, called = ''] = /([^/:]+):[^/]*$/.exec(reference) ?? [];
    const file = programs[called];
    for (const architecture of ['amd64', 'arm64']) {
      const program = {
        entries: [
          file === undefined
            ? { name: 'program', content: `${reference} ${architecture}` }
            : { name: `usr/local/bin/${called}`, content: readFileSync(file), mode: 0o755 },
        ],
      };
      members.push(
        await writer.image({
          ...(isPause(reference)
            ? { layers: [base, pause], entrypoint: ['/pause'] }
            : { layers: [base, program] }),
          platform: { os: 'linux', architecture },
        }),
      );
    }
    const index = writer.index(members);
    digests[reference] = index.digest;
    const name = reference.replace('registry.k8s.io/', '');
    writer.tag(index, name);
    await skopeoCopy(
      `oci:${layout}:${name}`,
      `docker://${registry.host}/k8s/${name}`,
      '--all',
      '--preserve-digests',
    );
  }
  return {
    mirrors: { 'registry.k8s.io': [`${registry.url}/k8s`] },
    digests,
    stop: () => registry.stop(),
  };
}
