// How bundles are read.

import type { TrustPolicy } from '../../attestation/policy.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import type { Env } from '../../base/env.ts';
import type { CredentialOptions } from '../../oci/credentials/credentials.ts';
import type { HttpLimits } from '../../oci/http/client.ts';
import type { MayRead } from '../../oci/image-source.ts';
import type { Platform } from '../../oci/model.ts';
import type { Reference } from '../../oci/reference.ts';

/** Options of every read of a published bundle. */
export interface ReadBundleOptions {
  /** Paths in the bundle; default: every /profiles/profile_*.json. */
  profiles?: string[];
  /**
   * `full` reads every layer to its end and believes no history; `partial` may use what nobody has checked. Default: what a
   * digest in the reference covers, and `partial` for a tag alone, which promises nothing.
   */
  verify?: 'partial' | 'full';
  /** Answers from the cache alone. */
  offline?: boolean;
  /** Credentials beside those of the machine. */
  credentials?: CredentialOptions;
  /** Plain HTTP and unverified TLS are allowed. */
  insecure?: boolean;
  platform?: Platform;
  /** Directory of the cache; `false` for none. Default: IMAGE_BUILDER_CACHE, else below XDG_CACHE_HOME. */
  cache?: string | false;
  environment?: Env;
  mayRead?: MayRead;
  /** Seconds that a read of metadata may take. Default: IMAGE_BUILDER_READ_TIMEOUT, else five minutes. */
  timeout?: number;
  /** Patience with registries. */
  limits?: Partial<HttpLimits>;
  /** What must be signed, and by whom: each of the answers. Checked before anything of the bundle is used. */
  trust?: (reference: Reference) => Promise<readonly TrustPolicy[]>;
  report?: Reporter;
  signal?: AbortSignal;
}
