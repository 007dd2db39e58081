// Which builder image may be started, and on which network.
import { type InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import { matchesImage, splitImage } from './patterns.ts';
import type { Policy } from './policy.ts';
import { howToAllow } from './refusal.ts';

const IMAGE = 'spec.build.executor.container.image';
const NETWORK = 'spec.build.executor.container.network';

/**
 * Makes sure that an image may be fetched: whatever its digest will be.
 * @throws InvalidInputError
 */
export function requireImageSource({ images }: Pick<Policy, 'images'>, image: string): void {
  const { repository } = splitImage(image);
  if (!images.some((pattern) => matchesImage(splitImage(pattern).repository, repository)))
    throw refuseImage(image);
}

/**
 * Makes sure that an image may be started.
 * @param pinned the image with its digest, as far as it has one
 * @throws InvalidInputError
 */
export function requireImage({ images }: Pick<Policy, 'images'>, pinned: string): void {
  if (!images.some((pattern) => matchesImage(pattern, pinned))) throw refuseImage(pinned);
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

function refuseImage(image: string): InvalidInputError {
  const how = howToAllow({
    variable: `IMAGE_BUILDER_IMAGES=${image}`,
    line: `builder: {images: [${image}]}`,
  });
  return invalidInput(IMAGE, `starting ${image} needs permission; ${how}`);
}
