// `image-builder extract REF [PATH...]`: profiles, or other small files, out of a published bundle.

import { type Command, Option } from 'commander';
import { printable } from '../../base/diagnostics/printable.ts';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import type { ReadBundleOptions } from '../../bundle/read/read-options.ts';
import { printedValue } from '../printed-value.ts';
import {
  addRegistryOptions,
  addTimeoutOption,
  engineOptions,
  type Reading,
  type RegistryFlags,
  reportCost,
} from '../registry-options.ts';

interface ExtractFlags extends RegistryFlags {
  list?: boolean;
  output?: 'json' | 'yaml';
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('extract')
    .description('read the profiles (or the given files) of a published bundle, in few requests')
    .argument(
      '<reference>',
      'registry reference, oci:DIR, oci-archive:FILE, docker-archive:FILE or docker-daemon:NAME',
    )
    .argument('[paths...]', 'files in the image; default: every /profiles/profile_*.json and the artifacts')
    .option('-l, --list', 'list the files below the given directories (default: /profiles and /qcows)')
    .addOption(
      new Option('-o, --output <format>', 'default: yaml; with paths, the files as they are').choices([
        'json',
        'yaml',
      ]),
    );
  addTimeoutOption(addRegistryOptions(command)).action(
    async (reference: string, paths: string[], flags: ExtractFlags) => {
      const options = await engineOptions(command);
      if (flags.list) reportCost(command, await list(reference, paths, flags, options));
      else if (paths.length > 0) reportCost(command, await files(reference, paths, flags, options));
      else reportCost(command, await bundle(reference, flags, options));
    },
  );
}

async function bundle(reference: string, flags: ExtractFlags, options: ReadBundleOptions): Promise<Reading> {
  const { readBundle } = await import('../../bundle/read/read-bundle.ts');
  const reading = await readBundle(reference, options);
  const profiles = Object.fromEntries(reading.profiles.map(({ name, json }) => [name, JSON.parse(json)]));
  await print({ bundle: reading.reference, profiles, ...reading.artifacts }, flags.output ?? 'yaml');
  return reading;
}

async function files(
  reference: string,
  paths: string[],
  flags: ExtractFlags,
  options: ReadBundleOptions,
): Promise<Reading> {
  const { readFiles } = await import('../../bundle/read/small-files.ts');
  const reading = await readFiles(reference, paths, options);
  if (flags.output) {
    const values = reading.files.map(({ path, content }) => [path, jsonOrText(content)]);
    await print(Object.fromEntries(values), flags.output);
  } else for (const { content } of reading.files) writeOut(content);
  return reading;
}

async function list(
  reference: string,
  paths: string[],
  flags: ExtractFlags,
  options: ReadBundleOptions,
): Promise<Reading> {
  const { listFiles } = await import('../../bundle/read/small-files.ts');
  const listing = await listFiles(reference, paths.length > 0 ? paths : ['/profiles', '/qcows'], options);
  if (flags.output) await print(listing.files, flags.output);
  else
    for (const { path, size } of listing.files)
      writeOut(`${String(size).padStart(14)}  ${printable(path)}\n`);
  return listing;
}

function jsonOrText(content: Buffer): unknown {
  const text = content.toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function print(value: unknown, format: 'json' | 'yaml'): Promise<void> {
  writeOut(await printedValue(value, format));
}
