// What the stages `qcow/<name>` leave in the store.
import { join } from 'node:path';
import type { QcowArtifact } from '../../bundle/model.ts';
import type { QcowLayer } from '../../bundle/write/assemble.ts';
import type { PlannedPartition } from '../../disk/disk-plan.ts';
import type { Descriptor } from '../../oci/model.ts';
import { factsOf } from '../../pipeline/recorded.ts';
import type { Entry } from '../../store/entry.ts';

/** The bundle layer with the disk. */
export const LAYER_FILE = 'layer.tar';

/** The bundle layer with the index of the disk's blocks. */
export const INDEX_FILE = 'index.tar';

/** The bill of materials of the disk, in SPDX. */
export const SBOM_FILE = 'sbom.spdx.json';

/** Facts of the entry. */
export interface QcowFacts {
  artifact: QcowArtifact;
  layer: Descriptor;
  /** Of the layer with the index; absent when the disk is not compressed by zstd. */
  index?: Descriptor;
  partitions: readonly PlannedPartition[];
  secureBoot: boolean;
}

/**
 * The disk of an entry and its bundle layer.
 * @throws TypeError for the entry of another stage, or none
 */
export function readQcowEntry(entry: Entry | undefined): QcowLayer & { path: string } {
  const { artifact, layer, index } = factsOf<QcowFacts>('qcow', entry);
  const directory = entry?.directory ?? '';
  return {
    path: join(directory, artifact.file),
    artifact,
    layer: { descriptor: layer, file: join(directory, LAYER_FILE) },
    ...(index && { index: { descriptor: index, file: join(directory, INDEX_FILE) } }),
    sbom: join(directory, SBOM_FILE),
  };
}
