// `image-builder lock`: writes the exact packages of a build to a file that is committed beside its spec.
import type { Command } from 'commander';
import { changeLine } from '../../compare/text.ts';
import type { Change } from '../../pipeline/input-changes.ts';
import { contextOf } from '../context.ts';
import { addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';

interface LockOptions extends PolicyFlags {
  check?: boolean;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('lock')
    .description('write the exact packages that a build would install now to a lock file, or check that file')
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .option('--check', 'change nothing; fail if the repositories now offer other packages')
    .addHelpText(
      'after',
      '\nThe lock file is that of spec.build.lock, otherwise <name>.lock.yaml beside the file.\n' +
        'A build with spec.build.lock installs exactly those packages, or fails.',
    );
  addPathOption(command).action(async (file: string, options: LockOptions, command: Command) => {
    const [
      { readBuildFile },
      { resolvePackages },
      { lockOf, driftOf },
      { renderLockFile, readLock },
      { currentImages },
    ] = await Promise.all([
      import('../spec-file.ts'),
      import('../../build/packages/resolution.ts'),
      import('../../build/packages/package-lock.ts'),
      import('../../spec/variables/lock-file.ts'),
      import('../../stages/preload/pin-images.ts'),
    ]);
    const { dirname, join, resolve } = await import('node:path');
    const context = contextOf(command);
    const cwd = process.cwd();
    const policy = await policyOf(options, cwd, file);
    const { object, resolved } = await readBuildFile(file, { cwd, policy, lockIsOptional: true });
    const { SpecFiles } = await import('../../policy/spec-files.ts');
    const beside = file === '-' ? '.' : dirname(file);
    const files = new SpecFiles(cwd, policy.read);
    const named = object.spec.build?.lock;
    const path = named ?? join(beside, `${object.metadata.name}.lock.yaml`);
    const architecture = resolved.rootfs.multistrap.rootfs_arch;
    const before = resolved.lock ?? (await readLock(path, architecture, { files, lockIsOptional: true }));
    const resolution = await resolvePackages(resolved, context);
    const credentials = { helpers: policy.credentialHelpers };
    const images = await currentImages(resolved, resolution.packages, {
      credentials,
      signal: context.signal,
    });
    const after = lockOf(resolved, resolution, images);
    const drift = driftOf(before, after);
    process.stdout.write(renderDrift(before === undefined ? [] : drift));
    if (options.check) {
      if (before !== undefined && drift.length === 0) return;
      process.exitCode = 1;
      const met = before === undefined ? 'does not exist' : 'differs from what the repositories offer now';
      process.stderr.write(`${path} ${met}; "image-builder lock ${file}" updates it\n`);
      return;
    }
    if (before === undefined || drift.length > 0) {
      const text = await renderLockFile(path, architecture, after, files);
      const { replaceFile } = await import('../../base/files/replace.ts');
      await replaceFile(resolve(cwd, path), text, { durable: true });
    }
    const state = before === undefined ? 'written' : drift.length > 0 ? 'updated' : 'up to date';
    process.stderr.write(
      `${path}: ${state}, ${after.packages.length} packages${images ? `, ${images.length} container images` : ''}\n`,
    );
    if (named === undefined) process.stderr.write(`builds use it with spec.build.lock: ${path}\n`);
  });
}

function renderDrift(drift: readonly Change[]): string {
  return drift.map((change) => `${changeLine(change)}\n`).join('');
}
