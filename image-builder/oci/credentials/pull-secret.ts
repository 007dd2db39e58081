// Kubernetes Secrets that hold registry credentials (imagePullSecrets), as objects.

import type { PullSecret } from './credentials.ts';

const KEYS: Record<string, string> = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
};

/** The credentials of a Secret of one of the two types; undefined for any other object, and for one without content. */
export function pullSecretOf(object: Record<string, unknown>): PullSecret | undefined {
  const key = object.kind === 'Secret' ? KEYS[String(object.type)] : undefined;
  if (key === undefined) return undefined;
  const { name, namespace } = asObject(object.metadata);
  const origin = ['Secret', [namespace, name].filter((part) => typeof part === 'string').join('/')];
  const plain = asObject(object.stringData)[key];
  const encoded = asObject(object.data)[key];
  const json =
    typeof plain === 'string'
      ? plain
      : typeof encoded === 'string'
        ? Buffer.from(encoded, 'base64').toString('utf8')
        : undefined;
  return json === undefined ? undefined : { json, origin: origin.filter(Boolean).join(' ') };
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
