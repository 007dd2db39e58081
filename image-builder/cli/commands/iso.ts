// `image-builder iso`: cuts the ISO of an ImageBuilder object into a directory, with its checksum and profiles.
import type { Command } from 'commander';
import type { ReusableStage } from '../../build/reuse.ts';
import { contextOf } from '../context.ts';
import { onEarlierResults, requireLocal, reuseOption } from '../earlier-results.ts';
import { addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';

interface IsoOptions extends PolicyFlags {
  output: string;
  store?: string;
  reuse?: ReusableStage;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('iso')
    .description('write the ISO of an ImageBuilder object (spec.build.iso) to a directory')
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .option('-o, --output <directory>', 'where the ISO, its .md5sum and the profiles are written', '.')
    .option(
      '--store <directory>',
      "directory of the store; default: $IMAGE_BUILDER_STORE, otherwise in the user's cache",
    )
    .addOption(reuseOption());
  addPathOption(command).action(async (file: string, options: IsoOptions, command: Command) => {
    const [{ readBuildFile }, { buildStages }, { multistrapProfile }, { writeOutputs }] = await Promise.all([
      import('../spec-file.ts'),
      import('../../build/build.ts'),
      import('../../stages/bundle/profiles.ts'),
      import('../../airship/outputs.ts'),
    ]);
    const { readIsoEntry } = await import('../../stages/iso/iso-entry.ts');
    const { readOsconfigEntry } = await import('../../stages/osconfig/osconfig-entry.ts');
    const { invalidInput } = await import('../../base/diagnostics/error.ts');
    const { join, resolve } = await import('node:path');
    const { mkdir } = await import('node:fs/promises');
    const context = contextOf(command);
    const cwd = process.cwd();
    const policy = await policyOf(options, cwd, file);
    const surroundings = { cwd, policy, ...(options.store && { store: options.store }) };
    const { resolved: asWritten } = await readBuildFile(file, surroundings);
    if (asWritten.iso === undefined) {
      const message = 'is missing: the file does not describe an ISO';
      throw invalidInput({ field: 'spec.build.iso', file }, message);
    }
    requireLocal(asWritten, 'image-builder iso');
    const { resolved, pinned } = await onEarlierResults(asWritten, options.reuse, surroundings);
    const { iso, osconfig } = await buildStages(resolved, ['osconfig', 'iso'], {
      ...surroundings,
      ...context,
      ...(pinned && { pinned }),
    });
    const { path, artifact } = readIsoEntry(iso);
    const volume = resolve(surroundings.cwd, options.output);
    await mkdir(volume, { recursive: true });
    const profile = multistrapProfile(resolved, readOsconfigEntry(osconfig).packages).json;
    const written = await writeOutputs(
      {
        contract: 'v2',
        imageType: 'iso',
        volume,
        imageName: artifact.file,
        checksumFile: true,
        build: {},
      },
      {
        path,
        md5: artifact.md5,
        multistrapProfile: profile,
        entrypointProfile: profile,
      },
      context.signal,
    );
    for (const name of written) process.stdout.write(`${join(options.output, name)}\n`);
  });
}
