// The errors of everything that talks to registries, layouts and archives.

import { type ErrorOptions, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type RegistryErrorCode =
  /** The reference has no form that we know. */
  | 'INVALID_REFERENCE'
  /** The manifest, blob, tag, layout or archive does not exist. */
  | 'NOT_FOUND'
  /** The registry wants (other) credentials. */
  | 'UNAUTHORIZED'
  /** The credentials are known and not sufficient. */
  | 'DENIED'
  /** A credential store or helper failed. */
  | 'CREDENTIALS'
  /** The host could not be reached, or the connection broke. */
  | 'NETWORK'
  /** Nothing came for too long. */
  | 'TIMEOUT'
  /** The server's or the client's certificate was refused. */
  | 'TLS'
  /** The registry limits how often we may ask (429). */
  | 'RATE_LIMITED'
  /** The registry answered something that it should not. */
  | 'SERVER'
  /** The registry does not take what refers to an image, or loses it. */
  | 'REFERRERS'
  /** Too many redirects, or one that may not be followed. */
  | 'REDIRECT'
  /** Content does not have the digest or the size that its descriptor promises. */
  | 'DIGEST_MISMATCH'
  /** Content is larger than any sensible one. */
  | 'TOO_LARGE'
  /** A manifest, index or config that is malformed. */
  | 'INVALID_MANIFEST'
  /** A media type or compression that cannot be read. */
  | 'UNSUPPORTED_MEDIA_TYPE'
  /** An index without a manifest for the platform. */
  | 'NO_MATCHING_PLATFORM'
  /** Compressed data that does not decompress. */
  | 'CORRUPT'
  /** Not in the cache, and the network is not to be used. */
  | 'OFFLINE'
  /** A configuration file (registries.conf, certificates, proxy) is unusable. */
  | 'CONFIGURATION';

/** Thrown by everything in `oci`, but for writing layouts. */
export class RegistryError extends ImageBuilderError<RegistryErrorCode> {
  /** HTTP status, when an answer of a registry is the reason. */
  readonly status?: number;

  constructor(code: RegistryErrorCode, message: string, options: ErrorOptions & { status?: number } = {}) {
    super(code, message, options);
    if (options.status !== undefined) this.status = options.status;
  }
}

/** Compressed data that its decoder refuses. */
export function corrupt(what: string, cause: unknown): RegistryError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new RegistryError('CORRUPT', `${what} cannot be decompressed: ${reason}`, { cause });
}
