// `image-builder install-plugin`: makes the function a legacy exec plugin of kustomize.
import type { Command } from 'commander';
import { ownFile } from '#runtime';

interface InstallPluginOptions {
  directory?: string;
  function?: string;
  remove?: boolean;
  force?: boolean;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('install-plugin')
    .description('install the function as a legacy exec plugin of kustomize, for `kubectl kustomize`')
    .option('--directory <path>', 'plugin home (default: the one kustomize uses)')
    .option('--function <path>', 'the function (default: image-builder-fn beside this command, or on PATH)')
    .option('--remove', 'remove the plugin')
    .option('--force', 'replace files that this command did not write')
    .action(async (options: InstallPluginOptions) => {
      const { installPlugin } = await import('../../doctor/kustomize/install-plugin.ts');
      const { paths, notes } = await installPlugin(options, process.env, ownFile());
      for (const path of paths) process.stdout.write(`${options.remove ? 'removed' : 'installed'} ${path}\n`);
      for (const note of notes) process.stderr.write(`${note}\n`);
    });
}
