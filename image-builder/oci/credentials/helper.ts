// Credential helpers: `docker-credential-<name> get` (https://github.com/docker/docker-credential-helpers).

import { spawn } from 'node:child_process';
import { cancelled, throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { Env } from '../../base/env.ts';
import { RegistryError } from '../http/registry-error.ts';
import { fromPair } from './config-file.ts';
import type { Credential } from './credentials.ts';

const TIMEOUT_MS = 30_000;
const OUTPUT_LIMIT_BYTES = 1024 * 1024;
const HELPER_NAME = /^[A-Za-z0-9][\w.-]*$/;
/** What helpers print when they know nothing of the server; anonymous access is then right. */
const NOTHING_KNOWN = /credentials not found|no credentials server URL/i;

/**
 * Asks a helper. Undefined when it knows nothing of the server.
 * @throws RegistryError CREDENTIALS; CancelledError
 */
export async function askHelper(
  name: string,
  server: string,
  environment: Env,
  signal?: AbortSignal,
): Promise<Credential | undefined> {
  if (!HELPER_NAME.test(name))
    throw new RegistryError('CREDENTIALS', `"${name}" is not a valid name of a credential helper`);
  const program = `docker-credential-${name}`;
  const { code, output } = await run(program, server, environment, signal);
  if (code !== 0) {
    if (NOTHING_KNOWN.test(output)) return undefined;
    // The output is not repeated: helpers have printed secrets.
    throw new RegistryError(
      'CREDENTIALS',
      `the credential helper ${program} failed for ${server} (exit code ${code})`,
      {
        hint: `Try: echo ${server} | ${program} get`,
      },
    );
  }
  let answer: unknown;
  try {
    answer = JSON.parse(output);
  } catch {
    throw new RegistryError('CREDENTIALS', `the credential helper ${program} did not return JSON`);
  }
  const { Username, Secret } = (answer ?? {}) as Record<string, unknown>;
  if (typeof Username !== 'string' || typeof Secret !== 'string') {
    throw new RegistryError(
      'CREDENTIALS',
      `the credential helper ${program} did not return Username and Secret`,
    );
  }
  return Secret === '' ? undefined : fromPair(Username, Secret);
}

function run(
  program: string,
  input: string,
  env: Env,
  signal: AbortSignal | undefined,
): Promise<{ code: number | null; output: string }> {
  throwIfCancelled(signal);
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    const end = () => child.kill('SIGKILL');
    // Not spawn's own timeout: that keeps the process waiting when the program could not be started.
    const timer = setTimeout(end, TIMEOUT_MS);
    signal?.addEventListener('abort', end, { once: true });
    const release = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    };
    const parts: Buffer[] = [];
    let size = 0;
    child.once('error', (cause) => {
      release();
      reject(
        new RegistryError('CREDENTIALS', `the credential helper ${program} cannot be run: ${cause.message}`, {
          cause,
          hint: 'Install it, or remove credsStore and credHelpers from the configuration.',
        }),
      );
    });
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > OUTPUT_LIMIT_BYTES) end();
      else parts.push(part);
    });
    child.once('close', (code) => {
      release();
      if (signal?.aborted) reject(cancelled(signal));
      else resolve({ code, output: Buffer.concat(parts).toString('utf8') });
    });
    // A helper may exit without reading its input.
    child.stdin.on('error', () => {});
    child.stdin.end(`${input}\n`);
  });
}
