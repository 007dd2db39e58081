// The errors of everything that talks to registries, layouts and archives.

import { type ErrorOptions, ImageBuilderError } from '../../base/diagnostics/error.ts';

export type RegistryErrorCode =
  /** The image reference is malformed. */
  | 'INVALID_REFERENCE'
  /** The manifest, blob, tag, layout or archive does not exist. */
  | 'NOT_FOUND'
  /** The registry requires (other) credentials. */
  | 'UNAUTHORIZED'
  /** The credentials are valid but not sufficient. */
  | 'DENIED'
  /** A credential store or helper failed. */
  | 'CREDENTIALS'
  /** The host could not be reached, or the connection broke off. */
  | 'NETWORK'
  /** No data arrived in time. */
  | 'TIMEOUT'
  /** The server's or the client's certificate was refused. */
  | 'TLS'
  /** The registry limits the rate of requests (429). */
  | 'RATE_LIMITED'
  /** The registry gave an unexpected answer. */
  | 'SERVER'
  /** The registry does not accept referrers of an image, or loses them. */
  | 'REFERRERS'
  /** There are too many redirects, or one that must not be followed. */
  | 'REDIRECT'
  /** Content does not match the digest or size of its descriptor. */
  | 'DIGEST_MISMATCH'
  /** Content exceeds the size limit. */
  | 'TOO_LARGE'
  /** A manifest, index or config is malformed. */
  | 'INVALID_MANIFEST'
  /** The media type or compression is not supported. */
  | 'UNSUPPORTED_MEDIA_TYPE'
  /** The index has no manifest for the platform. */
  | 'NO_MATCHING_PLATFORM'
  /** Compressed data cannot be decompressed. */
  | 'CORRUPT'
  /** The content is not in the cache, and the network must not be used. */
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
