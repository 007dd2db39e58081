// What decides a bundle. Pure.
import { osconfigWithoutCredentials } from '../../spec/variables/credentials.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { withoutSecrets } from '../inputs.ts';

/** What decides a bundle. */
export type BundleInputs = ReturnType<typeof bundleInputs>;

/** Takes out of a build what its bundle is made from, without secrets. */
export function bundleInputs({ rootfs, qcows, bundle }: ResolvedBuild) {
  return {
    qcows: Object.keys(qcows).sort(),
    // The profiles tell every variable, so each of them changes the bundle.
    rootfs: {
      ...rootfs,
      multistrap: withoutSecrets(rootfs.multistrap),
      osconfig: osconfigWithoutCredentials(rootfs.osconfig),
    },
    images: Object.fromEntries(
      Object.entries(qcows).map(([name, image]) => [
        name,
        { ...image, osconfig: osconfigWithoutCredentials(image.osconfig) },
      ]),
    ),
    builderImage: bundle.builderImage,
    base: typeof bundle.base === 'object' ? bundle.base.digest : bundle.base,
  };
}
