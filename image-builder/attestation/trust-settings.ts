// Whom a reader believes, as it is written in a spec, in a policy file or on a command line.
import type { Requirement } from './policy.ts';

/** `spec.bundle.trust`, and `trust` of the rules of a policy file; shapes are checked there. */
export interface TrustSettings {
  /** Public keys in PEM, or the base64 between its lines. */
  keys: readonly string[];
  /** Default: `signature`. */
  require?: readonly Requirement[];
  /** Default: 1. */
  threshold?: number;
  claims?: Readonly<Record<string, string>>;
  /** `90d`, `12h`, `30m`, `600s`. */
  maxAge?: string;
  builder?: string;
  buildType?: string;
  /** `sha256:` and 64 digits. */
  testConfiguration?: string;
}

/** What may be demanded, for schemas and help. */
export const REQUIREMENTS: readonly Requirement[] = ['signature', 'provenance', 'sbom', 'bootTest'];

/** What boot tests were run with. */
export const TEST_CONFIGURATION_PATTERN = '^sha256:[0-9a-f]{64}$';

/** A time of at most ten years or so. */
export const MAX_AGE_PATTERN = '^[1-9][0-9]{0,8}[smhd]$';
