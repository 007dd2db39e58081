// Describes a published bundle: what it is, what is in it, how it is stored, and what reading it costs.

import type { Image } from '../../oci/image.ts';
import { stepsOf } from '../../oci/manifest.ts';
import { formatPlatform, platformOf } from '../../oci/platform.ts';
import { parseReference } from '../../oci/reference.ts';
import type { Evidence } from '../evidence/list.ts';
import { type Artifacts, PROFILES_LAYER_ANNOTATION } from '../model.ts';
import { openImage } from './open-image.ts';
import { type ReadCost, readBundle } from './read-bundle.ts';
import { withinLimits } from './read-limits.ts';
import type { ReadBundleOptions } from './read-options.ts';
import type { Verification } from './verification.ts';

export interface LayerDescription {
  digest: string;
  /** Bytes as stored. */
  size: number;
  mediaType: string;
  /** Marked by our builder: it holds all of /profiles. */
  hasProfiles: boolean;
  /** How it came to be, if the image tells. */
  createdBy?: string;
}

export interface BundleDescription extends Artifacts {
  image: string;
  digest: string;
  platform?: string;
  created?: string;
  labels: Record<string, string>;
  profiles: { name: string; path: string /** Bytes of JSON. */; size: number }[];
  /** Lowest first. */
  layers: LayerDescription[];
  /** Sum of the layers as stored, in bytes. */
  totalSize: number;
  /** What refers to it, as it describes itself: `image-builder verify` checks it. */
  evidence: Evidence[];
  /** What reading the profiles and artifacts cost (without this description's own extra reads). */
  readCost: ReadCost;
  verification: Verification;
  warnings: string[];
}

/** @throws RegistryError, TarError, BundleError */
export async function inspectBundle(text: string, options: ReadBundleOptions): Promise<BundleDescription> {
  return withinLimits(options, (limited) => inspect(text, limited));
}

/** Only where there may be some is the code for it loaded. */
async function evidenceOf({ source, digest }: Image): Promise<Evidence[]> {
  if (!source.referrers) return [];
  const { listEvidence } = await import('../evidence/list.ts');
  return await listEvidence(source, digest);
}

async function inspect(text: string, options: ReadBundleOptions): Promise<BundleDescription> {
  // Read as any render would, so that the cost is a true one.
  const reading = await readBundle(text, options);
  const { image, close } = await openImage(parseReference(reading.reference.image), options);
  try {
    const config = await image.config();
    const steps = stepsOf(config);
    const platform = platformOf(config);
    const isTold = steps.length === image.manifest.layers.length;
    const layers = image.manifest.layers.map(({ digest, size, mediaType, annotations }, index) => {
      const createdBy = isTold ? steps[index] : undefined;
      const hasProfiles = annotations?.[PROFILES_LAYER_ANNOTATION] !== undefined;
      return { digest, size, mediaType, hasProfiles, ...(createdBy && { createdBy }) };
    });
    return {
      image: reading.reference.image,
      digest: reading.reference.digest,
      ...(platform && { platform: formatPlatform(platform) }),
      ...(config.created !== undefined && { created: config.created }),
      labels: config.config?.Labels ?? {},
      profiles: reading.profiles.map(({ name, path, json }) => ({
        name,
        path,
        size: Buffer.byteLength(json),
      })),
      ...reading.artifacts,
      layers,
      totalSize: layers.reduce((sum, { size }) => sum + size, 0),
      evidence: await evidenceOf(image),
      readCost: reading.cost,
      verification: reading.verification,
      warnings: reading.warnings,
    };
  } finally {
    await close();
  }
}
