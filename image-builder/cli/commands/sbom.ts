// `image-builder sbom REF`: what a disk of a bundle is made of, as an SPDX document.
import type { Command } from 'commander';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import { addRegistryOptions, addTimeoutOption, engineOptions } from '../registry-options.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('sbom')
    .description(
      'print the bill of materials of a disk: packages with sources, hashes and licences (SPDX 2.3)',
    )
    .argument('<reference>', 'registry reference, oci:DIR or oci-archive:FILE')
    .option('--disk <name>', 'which disk, when the bundle has several');
  addTimeoutOption(addRegistryOptions(command)).action(
    async (reference: string, flags: { disk?: string }) => {
      const { readSbom } = await import('../../bundle/read/read-sbom.ts');
      writeOut(await readSbom(reference, flags.disk, await engineOptions(command)));
    },
  );
}
