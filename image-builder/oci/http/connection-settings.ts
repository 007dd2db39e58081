// What connections are made with.

/**
 * Received ahead of the reader of a connection. Node's default, less than one packet of loopback, makes hundreds of
 * small steps of a large layer, and each wakes the thread that decompresses.
 */
export const READ_AHEAD_BYTES = 512 * 1024;

/** TLS settings of one registry host, contents in PEM. */
export interface TlsSettings {
  /** Certificate authorities beside the system's. */
  ca?: string[];
  /** Those among them that were given for this very host, so that its certificate is most likely from one of them. */
  hostCa?: string[];
  cert?: string;
  key?: string;
  /** Whether any server certificate will do. */
  insecure?: boolean;
}
