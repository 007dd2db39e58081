// Reads what refers to an image: its manifest, and its one piece of content, each checked against its digest.
import { checkContent, checkedStream } from '../digest.ts';
import { RegistryError } from '../http/registry-error.ts';
import type { ImageSource } from '../image-source.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '../manifest.ts';
import type { Descriptor, Manifest } from '../model.ts';
import { saysWhatItIs } from './referrer.ts';

/** The manifest of a referrer; embedded in its list it costs no request. @throws RegistryError */
export async function referrerManifestOf(source: ImageSource, descriptor: Descriptor): Promise<Manifest> {
  const what = `the referrer ${descriptor.digest}`;
  if (descriptor.size > MANIFEST_LIMIT_BYTES)
    throw new RegistryError('TOO_LARGE', `${what} claims ${descriptor.size} bytes`);
  const content = descriptor.data ?? (await source.manifest(descriptor));
  checkContent(content, descriptor, what);
  const manifest = parseManifest(content, descriptor.mediaType, what);
  if (!('manifests' in manifest)) return manifest;
  throw new RegistryError('INVALID_MANIFEST', `${what} is an index`);
}

/** What a referrer is: where its list does not say that, the manifest is read. */
export async function describeReferrer(
  source: ImageSource,
  descriptor: Descriptor,
): Promise<{ artifactType: string; annotations: Record<string, string> }> {
  const { artifactType, annotations } = descriptor;
  if (artifactType && annotations && saysWhatItIs(descriptor)) return { artifactType, annotations };
  const manifest = await referrerManifestOf(source, descriptor);
  return {
    artifactType: manifest.artifactType ?? manifest.config.mediaType,
    annotations: { ...manifest.annotations, ...annotations },
  };
}

/** The descriptor of a referrer's only layer. @throws RegistryError when there is not exactly one */
export function referrerLayerOf({ layers }: Manifest, what: string): Descriptor {
  const [layer, ...others] = layers;
  if (layer && others.length === 0) return layer;
  throw new RegistryError('INVALID_MANIFEST', `${what} has ${layers.length} layers, expected one`);
}

/**
 * The content of a referrer's only layer.
 * @param limit refused above this size, in bytes
 * @throws RegistryError
 */
export async function referrerContentOf(
  source: ImageSource,
  manifest: Manifest,
  limit: number,
  what: string,
): Promise<Buffer> {
  const layer = referrerLayerOf(manifest, what);
  if (layer.size > limit)
    throw new RegistryError('TOO_LARGE', `${what} has ${layer.size} bytes, more than ${limit}`);
  if (layer.data) {
    checkContent(layer.data, layer, what);
    return layer.data;
  }
  const parts: Uint8Array[] = [];
  for await (const part of checkedStream(source.blob(layer), layer, what)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}
