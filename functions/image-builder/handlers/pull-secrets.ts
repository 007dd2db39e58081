// imagePullSecrets among the items: credentials for reading bundles from private registries.

/**
 * The contents of all Secrets of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg; which of them fits is
 * decided by the registry's name. Secrets that hold nothing readable are left to whoever checks them.
 */
export function pullSecretsOf(items: readonly Record<string, unknown>[]): string[] {
  return items
    .filter(({ kind }) => kind === 'Secret')
    .flatMap((item) => {
      const key = KEYS[String(item.type)];
      if (key === undefined) return [];
      const plain = (item.stringData as Record<string, unknown> | undefined)?.[key];
      if (typeof plain === 'string') return [plain];
      const encoded = (item.data as Record<string, unknown> | undefined)?.[key];
      return typeof encoded === 'string' ? [Buffer.from(encoded, 'base64').toString('utf8')] : [];
    });
}

const KEYS: Record<string, string> = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
};
