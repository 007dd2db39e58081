// imagePullSecrets among the items: credentials for reading bundles from private registries.

import type { PullSecret } from '../../../image-builder/oci/credentials/credentials.ts';
import { pullSecretOf } from '../../../image-builder/oci/credentials/pull-secret.ts';

/**
 * All Secrets of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg; which of them fits is decided by the
 * registry's name. Secrets that hold nothing readable are left to whoever checks them.
 */
export function pullSecretsOf(items: readonly Record<string, unknown>[]): PullSecret[] {
  return items.flatMap((item) => pullSecretOf(item) ?? []);
}
