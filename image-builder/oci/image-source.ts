// One interface for every place that an image can be read from. Sources deliver bytes, and nobody trusts them:
// checking against digests is done by the callers, once, in image.ts.

import type { Digest } from './digest.ts';
import type { Cost } from './http/transport.ts';
import type { Descriptor } from './model.ts';

/** The manifest or index that a reference names. */
export interface Root {
  descriptor: Descriptor;
  content: Buffer;
  /**
   * The source has no manifests and made this one up (docker-archive): the descriptor's digest is the image ID, which
   * covers the config and, through its diff IDs, every layer; the layers' sizes are not promises.
   */
  synthesized?: true;
}

/** A range of a blob, in bytes. */
export interface ByteRange {
  start: number;
  length: number;
}

/** Where an image is read from. Instances are for one image; `close` releases what they hold open. */
export interface ImageSource {
  /** For messages: where the content comes from, without credentials. */
  readonly name: string;
  readonly cost: Cost;
  /** What the user should know though it worked: a tag that has moved away from the pinned digest. */
  readonly warnings: string[];
  /**
   * The digest that the reference stands for now, by the cheapest question there is; undefined when only
   * {@link ImageSource.root} can tell.
   */
  currentDigest(): Promise<Digest | undefined>;
  /** The manifest or index that the reference names. */
  root(): Promise<Root>;
  /** A manifest or index by its digest. */
  manifest(descriptor: Descriptor): Promise<Buffer>;
  /**
   * A blob; returning from the iteration early stops the transfer.
   * @param start first byte wanted; only sources with `resumable` heed it
   */
  blob(descriptor: Descriptor, start?: number): AsyncIterable<Uint8Array>;
  /** Blobs come over a network: large ones are worth taking up again, and keeping meanwhile. */
  readonly resumable?: true;
  /**
   * A part of a blob. Undefined when this source cannot (compressed archives); a registry that ignores ranges is
   * handled inside, at the price of its answer.
   */
  readonly range?: (descriptor: Descriptor, range: ByteRange) => Promise<Buffer>;
  /** A range was asked for and the whole blob came: parts are no cheaper here. Undefined where that cannot be. */
  readonly ignoresRanges?: boolean;
  /**
   * What refers to a manifest of this source, in the order of the cheapest questions: whoever has found what he wants
   * stops. Nothing of it is checked. Undefined when there is no place for it (Docker's archives and daemon).
   */
  referrers?(digest: Digest): AsyncIterable<Descriptor>;
  close(): Promise<void>;
}

/**
 * Asked before a file of a layout is opened, with its absolute path: links in a layout may lead anywhere. Throws the error
 * that the read is to end with. Without it everything is read: a person has named the layout.
 */
export type MayRead = (path: string) => Promise<void>;
