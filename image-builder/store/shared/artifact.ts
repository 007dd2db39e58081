// An entry of the store as an artifact in a registry (OCI image-spec manifest.md, "Guidelines for Artifact Usage"): the
// record is its config, each file is a layer. Read with distrust: the file names become paths.
import { join } from 'node:path';
import { type Digest, digestOf } from '../../oci/digest.ts';
import { parseManifest } from '../../oci/manifest.ts';
import { OCI_MANIFEST } from '../../oci/media-types.ts';
import type { Descriptor, Manifest } from '../../oci/model.ts';
import { type Entry, type EntryRecord, entryName } from '../entry.ts';
import { parseRecord } from '../portable.ts';
import type { Signature } from './trust.ts';

const ARTIFACT_TYPE = 'application/vnd.airshipit.image-builder.entry.v1';
const RECORD_TYPE = `${ARTIFACT_TYPE}+json`;
const TITLE = 'org.opencontainers.image.title';
const SIGNATURE = 'org.airshipit.image-builder.signature';
const SIGNING_KEY = 'org.airshipit.image-builder.signing-key';

/** An entry made ready for a registry. */
export interface EntryArtifact {
  manifest: Buffer;
  record: Buffer;
  recordDigest: Digest;
  /** Files on this machine by the digest of their blobs. */
  files: ReadonlyMap<Digest, string>;
}

/** @param signature given the digest of the record */
export function toArtifact(
  entry: Entry,
  signature: (recordDigest: Digest) => Signature | undefined,
): EntryArtifact {
  const { directory, ...rest } = entry;
  const record = Buffer.from(JSON.stringify(rest));
  const recordDigest = digestOf(record);
  const signed = signature(recordDigest);
  const files = new Map<Digest, string>();
  const layers = Object.entries(entry.files).map(([path, { size, sha256 }]) => {
    const digest: Digest = `sha256:${sha256}`;
    files.set(digest, join(directory, path));
    return { mediaType: 'application/octet-stream', digest, size, annotations: { [TITLE]: path } };
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: ARTIFACT_TYPE,
    config: { mediaType: RECORD_TYPE, digest: recordDigest, size: record.length },
    layers,
    ...(signed && { annotations: { [SIGNATURE]: signed.signature, [SIGNING_KEY]: signed.key } }),
  };
  return { manifest: Buffer.from(JSON.stringify(manifest)), record, recordDigest, files };
}

/** The parts of an artifact's manifest; undefined when it is another kind of thing. @throws RegistryError */
export function parseEntryManifest(
  content: Buffer,
  descriptor: Descriptor,
  what: string,
): { manifest: Manifest; signature?: Signature } | undefined {
  const manifest = parseManifest(content, descriptor.mediaType, what);
  if ('manifests' in manifest || manifest.config.mediaType !== RECORD_TYPE) return undefined;
  const { [SIGNATURE]: signature, [SIGNING_KEY]: key } = manifest.annotations ?? {};
  return { manifest, ...(signature && key && { signature: { signature, key } }) };
}

/**
 * The record of an artifact, whose signature was checked before. What becomes part of a path is checked.
 * @throws StoreError STORE_ARCHIVE_INVALID
 */
export function readRecord(content: Buffer): EntryRecord {
  const text = content.toString('utf8');
  return parseRecord(text, nameIn(text));
}

/** The name that the record gives itself: whether that is the wanted one is for the caller to say. */
function nameIn(text: string): string {
  try {
    const { kind, key } = JSON.parse(text);
    return entryName({ kind, key });
  } catch {
    return 'the entry';
  }
}
