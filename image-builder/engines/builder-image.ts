// The builder image: made sure to be there, and named so that it cannot change.
import type { ContainerEngine } from './engine.ts';
import { ContainerError } from './engine-error.ts';

/**
 * Makes sure that the engine has an image.
 * @param onLine told of the pull's progress
 * @returns the reference with the digest of its manifest; an image that was never in a registry has none, and is named
 * as it was asked for
 * @throws ContainerError
 */
export async function ensureImage(
  engine: ContainerEngine,
  reference: string,
  onLine: (line: string) => void,
): Promise<string> {
  const present = await engine.imageDigests(reference);
  if (present) return pinned(reference, present);
  onLine(`pull ${reference}`);
  const pulled = await engine.pull(reference, onLine);
  const digests = pulled.status === 0 ? await engine.imageDigests(reference) : undefined;
  if (!digests) {
    throw new ContainerError('IMAGE_MISSING', `${engine.name} has no image ${reference} and cannot pull it`, {
      output: pulled.lastLines,
      hint: 'check the reference and the registry, log in, or build it: docker build --target builder',
    });
  }
  return pinned(reference, digests);
}

/** `repository:tag@sha256:...`; the digest that belongs to the repository of the reference. */
function pinned(reference: string, digests: readonly string[]): string {
  if (reference.includes('@')) return reference;
  const repository = reference.replace(/:[^:/]+$/, '');
  const match = digests.find(
    (digest) =>
      digest.replace(/^docker\.io\/(library\/)?/, '').split('@')[0] ===
      repository.replace(/^docker\.io\/(library\/)?/, ''),
  );
  return match === undefined ? reference : `${reference}@${match.split('@')[1]}`;
}
