// Options that every command about published images has.

import { type Command, Option } from 'commander';
import { printable } from '../base/diagnostics/printable.ts';
import { formatBytes } from '../base/diagnostics/render.ts';
import type { ReadBundleOptions } from '../bundle/read/read-options.ts';
import { contextOf } from './context.ts';

/** What commander parsed. */
export interface RegistryFlags {
  verify?: boolean;
  partial?: boolean;
  timeout?: string;
  offline?: boolean;
  insecure?: boolean;
  platform?: string;
  /** Absent: where the environment says. */
  cache?: string | false;
  pullSecret?: string[];
  /** Global. */
  verbose?: boolean;
}

/** Adds the options of every command that reads images; {@link RegistryFlags} has their values. */
export function addRegistryOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--verify', 'read every layer to its end and verify it, at any cost').conflicts('partial'),
    )
    .option('--partial', 'accept parts of layers that were not verified, even under a digest')
    .option('--offline', 'use the local cache only')
    .option('--insecure', 'allow plain HTTP and certificates that cannot be verified')
    .option('--platform <os/arch>', 'which image of a multi-platform index')
    .option('--cache <directory>', 'cache directory (default: $IMAGE_BUILDER_CACHE or below ~/.cache)')
    .option('--no-cache', 'neither read nor write the cache')
    .option(
      '--pull-secret <file...>',
      'a Kubernetes imagePullSecret (YAML, JSON, or its content) or a Docker config.json with auths',
    );
}

/** The option of commands that read metadata; disks take what they take. */
export function addTimeoutOption(command: Command): Command {
  return command.option(
    '--timeout <seconds>',
    'give up reading after this time (default: $IMAGE_BUILDER_READ_TIMEOUT or 300)',
  );
}

/** The engine's options. Ctrl-C aborts. */
export async function engineOptions(command: Command): Promise<ReadBundleOptions> {
  const flags = command.optsWithGlobals<RegistryFlags>();
  const options: ReadBundleOptions = { ...contextOf(command) };
  if (flags.verify) options.verify = 'full';
  else if (flags.partial) options.verify = 'partial';
  if (flags.timeout !== undefined) {
    const { parseTimeout } = await import('../bundle/read/read-limits.ts');
    options.timeout = parseTimeout(flags.timeout, '--timeout');
  }
  if (flags.offline) options.offline = true;
  if (flags.insecure) options.insecure = true;
  if (flags.cache !== undefined) options.cache = flags.cache;
  if (flags.platform !== undefined) {
    const { parsePlatform } = await import('../oci/platform.ts');
    options.platform = parsePlatform(flags.platform);
  }
  if (flags.pullSecret) {
    const { readPullSecrets } = await import('./pull-secret-files.ts');
    options.credentials = { pullSecrets: await readPullSecrets(flags.pullSecret) };
  }
  const { loadBundleRules } = await import('../policy/load.ts');
  const bundles = await loadBundleRules({ env: process.env, cwd: process.cwd() });
  if (bundles.length > 0)
    options.trust = async (reference) => {
      const { trustFor } = await import('../bundle/evidence/trust-rules.ts');
      return trustFor(reference, { bundles });
    };
  return options;
}

/** The facts of a read that are reported. */
export interface Reading {
  cost: { requests: number; bytes: number; milliseconds: number };
  verification?: string;
  warnings?: string[];
}

/** `3 requests, 1.2 KiB, 34 ms; verification: partial`, to standard error. */
export function reportCost(command: Command, reading: Reading): void {
  for (const warning of reading.warnings ?? []) process.stderr.write(`warning: ${printable(warning)}\n`);
  if (!command.optsWithGlobals<RegistryFlags>().verbose) return;
  const { requests, bytes, milliseconds } = reading.cost;
  const verification = reading.verification ? `; verification: ${reading.verification}` : '';
  process.stderr.write(`${requests} requests, ${formatBytes(bytes)}, ${milliseconds} ms${verification}\n`);
}
