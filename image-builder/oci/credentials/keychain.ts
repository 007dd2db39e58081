// Where people already have their credentials, in the order of containers-auth.json(5), after what the caller passed in.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../../base/env.ts';
import { RegistryError } from '../http/registry-error.ts';
import { type CredentialConfig, matchKey, parseCredentialConfig, parsePullSecret } from './config-file.ts';
import type { Credential, CredentialOptions, CredentialSource } from './credentials.ts';

/** Docker Hub's name in credential helpers, for historical reasons. */
const DOCKER_HUB_SERVER = 'https://index.docker.io/v1/';

/**
 * The credentials of this machine and of the caller. Files are read when first asked for, once.
 * @param environment HOME, REGISTRY_AUTH_FILE, DOCKER_CONFIG, DOCKER_AUTH_CONFIG, XDG_RUNTIME_DIR, XDG_CONFIG_HOME
 * @param signal ends a helper that is running
 */
export function keychain(
  options: CredentialOptions,
  environment: Env,
  signal?: AbortSignal,
): CredentialSource {
  let configs: Promise<CredentialConfig[]> | undefined;
  return {
    async find(registry, repository) {
      if (options.login) return { kind: 'password', ...options.login };
      configs ??= loadConfigs(options, environment);
      for (const config of await configs) {
        const found = await findIn(config, registry, repository, environment, signal);
        if (found) return found;
      }
      return undefined;
    },
  };
}

async function findIn(
  config: CredentialConfig,
  registry: string,
  repository: string,
  environment: Env,
  signal: AbortSignal | undefined,
): Promise<Credential | undefined> {
  const helper = matchKey(config.credHelpers, registry, repository);
  const server = registry === 'docker.io' ? DOCKER_HUB_SERVER : registry;
  const { askHelper } = helper || config.credsStore ? await import('./helper.ts') : { askHelper: undefined };
  if (helper && askHelper) return askHelper(helper, server, environment, signal);
  const entry = matchKey(config.auths, registry, repository);
  if (entry !== undefined && entry !== 'empty') return entry;
  return config.credsStore && askHelper
    ? askHelper(config.credsStore, server, environment, signal)
    : undefined;
}

async function loadConfigs(options: CredentialOptions, environment: Env): Promise<CredentialConfig[]> {
  const configs = (options.pullSecrets ?? []).map(parsePullSecret);
  if (options.isolated) return configs;
  const own = await ownConfigs(environment);
  return [...configs, ...(options.helpers === false ? own.map(withoutHelpers) : own)];
}

function withoutHelpers({ origin, auths }: CredentialConfig): CredentialConfig {
  return { origin, auths, credHelpers: new Map() };
}

/** Those of the machine. */
async function ownConfigs(environment: Env): Promise<CredentialConfig[]> {
  const configs: CredentialConfig[] = [];
  // A CI variable that several tools read: the content of a config.json.
  if (environment.DOCKER_AUTH_CONFIG)
    configs.push(parseCredentialConfig(environment.DOCKER_AUTH_CONFIG, 'DOCKER_AUTH_CONFIG'));
  for (const { path, required } of authFiles(environment)) {
    const text = required ? await readRequired(path) : readOptional(path);
    if (text !== undefined && text.trim() !== '') configs.push(parseCredentialConfig(text, path));
  }
  return configs;
}

function authFiles(environment: Env): { path: string; required: boolean }[] {
  const { HOME, REGISTRY_AUTH_FILE, DOCKER_CONFIG, XDG_RUNTIME_DIR, XDG_CONFIG_HOME } = environment;
  if (REGISTRY_AUTH_FILE) return [{ path: REGISTRY_AUTH_FILE, required: true }];
  const configHome = XDG_CONFIG_HOME || (HOME && join(HOME, '.config'));
  const dockerConfig = DOCKER_CONFIG || (HOME && join(HOME, '.docker'));
  const paths = [
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers/auth.json'),
    configHome && join(configHome, 'containers/auth.json'),
    dockerConfig && join(dockerConfig, 'config.json'),
  ];
  return paths.filter((path): path is string => Boolean(path)).map((path) => ({ path, required: false }));
}

/** One that was named, which may be the output of a program. */
async function readRequired(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** At once: each run looks for all of these, and most are not there. */
function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return undefined;
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): RegistryError {
  const { code } = cause as NodeJS.ErrnoException;
  return new RegistryError('CREDENTIALS', `cannot read ${path}: ${code}`, {
    hint: 'Check REGISTRY_AUTH_FILE and its permissions.',
  });
}
