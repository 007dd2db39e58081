// `image-builder copy REF DIR [FILE...]`: disk images out of a bundle.
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { printable } from '../../base/diagnostics/printable.ts';
import { formatBytes } from '../../base/diagnostics/render.ts';
import { writeLine, writeOut } from '../../base/diagnostics/standard-streams.ts';
import type { CopiedFile } from '../../bundle/copy/copy-disks.ts';
import type { Update } from '../../bundle/copy/earlier-images.ts';
import { addRegistryOptions, engineOptions } from '../registry-options.ts';

interface CopyFlags {
  force?: boolean;
  from?: string;
  withProfiles?: boolean;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('copy')
    .description(
      'copy the disk images of a bundle into a directory and verify them; interrupted copies are resumed',
    )
    .argument(
      '<reference>',
      'registry reference, oci:DIR, oci-archive:FILE, docker-archive:FILE or docker-daemon:NAME',
    )
    .argument('<directory>', 'where to put the files of /qcows')
    .argument('[files...]', 'names of files; default: all')
    .option('--force', 'replace files in the directory that differ from those of the bundle')
    .option(
      '--from <path>',
      'an earlier image, or a directory with images of the same names: what they have is not fetched from a registry (default: the files that --force replaces)',
    )
    .option('--with-profiles', "also write each image's .md5sum and the bundle's profiles");
  addRegistryOptions(command).action(async (text: string, directory: string, names: string[]) => {
    const { copyBundle } = await import('../../bundle/copy/copy-disks.ts');
    const { force, from, withProfiles } = command.opts<CopyFlags>();
    const options = { ...(await engineOptions(command)), ...(force && { force }), ...(from && { from }) };
    const { files, leftOut, reference } = await copyBundle(text, directory, names, options);
    if (leftOut.length > 0) writeLine(printable(`warning: skipped, not images: ${leftOut.join(', ')}`));
    if (withProfiles) {
      const { readBundle } = await import('../../bundle/read/read-bundle.ts');
      const { writeCompanions } = await import('../../bundle/copy/companions.ts');
      // By its digest: a tag may have moved meanwhile.
      await writeCompanions(resolve(directory), files, (await readBundle(reference, options)).profiles);
    }
    for (const file of files) if (file.update) writeLine(printable(describeUpdate(file, file.update)));
    // In the format of sha256sum, so that it can be checked again.
    for (const { sha256, path } of files) writeOut(`${sha256}  ${path}\n`);
  });
}

function describeUpdate({ path, size }: CopiedFile, { from, fetched, reason }: Update): string {
  const name = basename(path);
  return fetched === undefined
    ? `${name}: fetched whole, not made from ${from}: ${reason}`
    : `${name}: fetched ${formatBytes(fetched)} of ${formatBytes(size)}, the rest is from ${from}`;
}
