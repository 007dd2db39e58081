// The image-builder image of the tests: a small root file system that can be cut to an ISO and to a QCOW.
import type { BuildSpec } from '../../../image-builder/spec/types.ts';
import { aptMirror, buildTarget, type DockerEngine, hostCodename, TEST_PREFIX } from './docker.ts';

/**
 * What its root file system is made of. The repository is named, so that the keys are the same here and in the image,
 * where apt is set up differently.
 */
export async function preparedSpec(): Promise<BuildSpec> {
  const source = await aptMirror(await hostCodename());
  return {
    distribution: 'debian-12',
    mirror: source,
    rootfs: {
      multistrap: {
        packages: ['openssh-server', 'live-boot', 'live-boot-initramfs-tools'],
        kernel_base_pkg: 'linux-image-cloud-amd64',
        kernel_headers_pkg: '',
        repos: [
          {
            name: 'debian',
            source,
            suite: 'bookworm',
            components: 'main',
            keyring_pkg: 'debian-archive-keyring',
          },
        ],
      },
      livecdcontent: { mksquashfs_compression: 'zstd' },
    },
  };
}

/** Builds it; the engine's build cache makes that a matter of a second when it was built before. */
export async function prepareImage(engine: DockerEngine): Promise<string> {
  return await buildTarget(engine, 'image-builder', {
    tag: `${TEST_PREFIX}/image-builder:latest`,
    buildArgs: { BUILD_SPEC: JSON.stringify(await preparedSpec()) },
  });
}
