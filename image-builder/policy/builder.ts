// Which builder image may be started, and on which network.
import { type InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import { matchesImage, splitImage } from './patterns.ts';
import type { Policy } from './policy.ts';
import { howToAllow } from './refusal.ts';

const IMAGE = 'spec.build.executor.container.image';
const KUBERNETES = 'spec.build.executor.kubernetes';
const NETWORK = 'spec.build.executor.container.network';

/**
 * Makes sure that an image may be fetched: whatever its digest will be.
 * @throws InvalidInputError
 */
export function requireImageSource({ images }: Pick<Policy, 'images'>, image: string, field = IMAGE): void {
  const { repository } = splitImage(image);
  if (!images.some((pattern) => matchesImage(splitImage(pattern).repository, repository)))
    throw refuseImage(image, field);
}

/**
 * Makes sure that an image may be started.
 * @param pinned the image with its digest, as far as it has one
 * @throws InvalidInputError
 */
export function requireImage({ images }: Pick<Policy, 'images'>, pinned: string, field = IMAGE): void {
  if (!images.some((pattern) => matchesImage(pattern, pinned))) throw refuseImage(pinned, field);
}

/**
 * Makes sure that Jobs may be started in a cluster.
 * @param namespace undefined for that of the context
 * @throws InvalidInputError
 */
export function requireJobs(
  { namespaces, caller }: Pick<Policy, 'namespaces' | 'caller'>,
  { namespace, privileges }: { namespace?: string; privileges?: string },
): void {
  const name = namespace ?? 'default';
  if (!namespaces.includes(name) && !namespaces.includes('*')) {
    const how = howToAllow({
      variable: `IMAGE_BUILDER_NAMESPACES=${name}`,
      line: `builder: {namespaces: [${name}]}`,
    });
    throw invalidInput(`${KUBERNETES}.namespace`, `starting Jobs in ${name} needs permission; ${how}`);
  }
  if (privileges === 'privileged' && caller === 'render')
    throw invalidInput(
      `${KUBERNETES}.privileges`,
      'privileged Pods are root of their node: a render cannot ask for them; build with image-builder build',
    );
}

/**
 * Makes sure that stages that fetch may use a network.
 * @param network undefined for the engine's own
 * @throws InvalidInputError
 */
export function requireNetwork({ networks }: Pick<Policy, 'networks'>, network: string | undefined): void {
  const name = network ?? 'default';
  if (networks.includes(name) || networks.includes('*')) return;
  const how = howToAllow({
    variable: `IMAGE_BUILDER_NETWORKS=${name}`,
    line: `builder: {networks: [${name}]}`,
  });
  throw invalidInput(NETWORK, `stages that fetch need permission for the network ${name}; ${how}`);
}

function refuseImage(image: string, field: string): InvalidInputError {
  const how = howToAllow({
    variable: `IMAGE_BUILDER_IMAGES=${image}`,
    line: `builder: {images: [${image}]}`,
  });
  return invalidInput(field, `starting ${image} needs permission; ${how}`);
}
