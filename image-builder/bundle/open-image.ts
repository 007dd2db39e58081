// Opens an image by its reference, with the machine's cache in front of it.

import { Image } from '../registry/image.ts';
import type { Cost } from '../registry/image-source.ts';
import { openSource } from '../registry/open.ts';
import type { Reference } from '../registry/reference.ts';
import type { ReadBundleOptions } from './read.ts';

/** An image that is open; `close` it. */
export interface OpenImage {
  image: Image;
  cost: () => Cost;
  close: () => Promise<void>;
}

export async function openImage(reference: Reference, options: ReadBundleOptions): Promise<OpenImage> {
  const source = await openSource(reference, options);
  try {
    const image = await Image.open(source, options.platform ? { platform: options.platform } : {});
    return { image, cost: () => ({ ...source.cost }), close: () => source.close() };
  } catch (error) {
    await source.close();
    throw error;
  }
}
