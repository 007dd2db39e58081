// Files of `--pull-secret`: what `kubectl get secret -o yaml|json` prints, the content of one, or a Docker config.json.

import { readFile } from 'node:fs/promises';
import { errnoOf } from '../base/diagnostics/errno.ts';
import type { PullSecret } from '../oci/credentials/credentials.ts';
import { pullSecretOf } from '../oci/credentials/pull-secret.ts';
import { RegistryError } from '../oci/http/registry-error.ts';

/** Reads the files. @throws RegistryError CREDENTIALS naming the file, without its content */
export async function readPullSecrets(files: readonly string[]): Promise<PullSecret[]> {
  return (await Promise.all(files.map(readPullSecret))).flat();
}

async function readPullSecret(file: string): Promise<PullSecret[]> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw problem(file, `cannot be read: ${errnoOf(cause)}`);
  });
  const objects = parseJson(text) ?? (await parseYaml(text));
  if (!objects) throw problem(file, 'is neither JSON nor YAML');
  const [only] = objects;
  if (objects.length === 1 && only && only.kind === undefined) {
    const runs = only.credsStore !== undefined || only.credHelpers !== undefined;
    if (only.auths !== undefined || !runs) return [{ json: JSON.stringify(only), origin: file }];
    throw problem(
      file,
      'contains no auths; credential helpers are used only from your own configuration',
      'Save it as config.json in a directory and set DOCKER_CONFIG to that directory.',
    );
  }
  const secrets = objects.flatMap((object) => pullSecretOf(object) ?? []);
  if (secrets.length === 0) throw problem(file, 'contains no Secret with registry credentials');
  return secrets.map(({ json, origin }) => ({ json, origin: `${file} (${origin})` }));
}

type Fields = Record<string, unknown>;

function parseJson(text: string): Fields[] | undefined {
  try {
    return itemsOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function parseYaml(text: string): Promise<Fields[] | undefined> {
  const { parseAllDocuments } = await import('yaml');
  const documents = [...parseAllDocuments(text)];
  if (documents.some(({ errors }) => errors.length > 0)) return undefined;
  try {
    const objects = documents.map((document) => itemsOf(document.toJS()));
    return objects.every((found) => found !== undefined) ? objects.flat() : undefined;
  } catch {
    // More aliases than any Secret has.
    return undefined;
  }
}

/** An object, or those in a list. */
function itemsOf(value: unknown): Fields[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { kind, items } = value as Fields;
  if (kind !== 'List' || !Array.isArray(items)) return [value as Fields];
  return items.flatMap((item) => itemsOf(item) ?? []);
}

function problem(
  file: string,
  what: string,
  hint = 'Provide a Secret of type kubernetes.io/dockerconfigjson (YAML or JSON), or a config.json with auths.',
): RegistryError {
  return new RegistryError('CREDENTIALS', `--pull-secret: ${file} ${what}`, { hint });
}
