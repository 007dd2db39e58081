// `image-builder pin PATH...`: tags of bundle references become tags with digests.

import type { Command } from 'commander';
import { findingsOf, formatFinding } from '../../base/diagnostics/error.ts';
import { printable } from '../../base/diagnostics/printable.ts';
import { writeLine, writeOut } from '../../base/diagnostics/standard-streams.ts';
import {
  addRegistryOptions,
  addTimeoutOption,
  engineOptions,
  type RegistryFlags,
} from '../registry-options.ts';

interface PinFlags extends RegistryFlags {
  check?: boolean;
  update?: boolean;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('pin')
    .description('pin the bundle references in YAML files to digests: repository:tag@sha256:...')
    .argument('<paths...>', 'files, or directories whose YAML files are read')
    .option('--check', 'only report references that are not pinned, and fail if there are any')
    .option('--update', 'also update pinned tags to their current digest');
  addTimeoutOption(addRegistryOptions(command)).action(async (paths: string[], flags: PinFlags) => {
    const { findUnpinned, pinFiles } = await import('../../bundle/pin/pin.ts');
    if (flags.check) {
      const unpinned = await findUnpinned(paths);
      for (const { file, line, reference } of unpinned)
        writeOut(`${printable(`${file}:${line}: ${reference} is not pinned`)}\n`);
      if (unpinned.length > 0) process.exitCode = 1;
      return;
    }
    const options = await engineOptions(command);
    const { pinned, failed } = await pinFiles(paths, flags.update ?? false, options);
    for (const { file, line, reference, digest } of pinned)
      writeOut(`${printable(`${file}:${line}: ${reference} -> ${digest}`)}\n`);
    for (const { file, line, reference, error } of failed) {
      for (const { message, ...finding } of findingsOf(error))
        writeLine(formatFinding({ ...finding, message: `${file}:${line}: ${reference}: ${message}` }));
    }
    if (failed.length > 0) process.exitCode = 1;
  });
}
