// `image-builder outdated`: what is newer than what a build is locked to.
import { type Command, Option } from 'commander';
import { contextOf } from '../context.ts';
import { addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';

interface OutdatedOptions extends PolicyFlags {
  output: 'text' | 'json';
  exitCode?: boolean;
}

/** Exit status when something is newer; 1 is a failure. */
const IS_OUTDATED = 2;

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('outdated')
    .description(
      'tell what is newer than the lock file of a build: Kubernetes, kernel, container runtime, security updates, and what a new lock would change; installs and changes nothing',
    )
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .option(
      '--exit-code',
      'exit with status 2 if something is newer, or the end of life of Kubernetes has passed; a later minor version does not count',
    );
  addPathOption(command).action(async (file: string, options: OutdatedOptions, command: Command) => {
    const [
      { readBuildFile },
      { resolvePackages },
      { newestKubernetes },
      { currentImages },
      { outdated, isOutdated },
    ] = await Promise.all([
      import('../spec-file.ts'),
      import('../../build/packages/resolution.ts'),
      import('../../build/packages/newest-kubernetes.ts'),
      import('../../stages/preload/pin-images.ts'),
      import('../../compare/outdated.ts'),
    ]);
    const context = contextOf(command);
    const cwd = process.cwd();
    const policy = await policyOf(options, cwd, file);
    const { resolved } = await readBuildFile(file, { cwd, policy, lockIsOptional: true });
    const { packages } = await resolvePackages(resolved, context);
    const report = outdated(resolved, resolved.lock, {
      packages,
      images: await currentImages(resolved, packages, {
        credentials: { helpers: policy.credentialHelpers },
        signal: context.signal,
      }),
      releases: await newestKubernetes(resolved, context),
      now: new Date(),
    });
    process.stdout.write(
      options.output === 'json'
        ? `${JSON.stringify(report, undefined, 2)}\n`
        : (await import('../../compare/outdated-text.ts')).renderOutdated(report),
    );
    if (options.exitCode && isOutdated(report)) process.exitCode = IS_OUTDATED;
  });
}
