// `image-builder push SOURCE TARGET`: publishes a bundle, or any image, in a registry.
import type { Command } from 'commander';
import { contextOf } from '../context.ts';

interface PushFlags {
  insecure?: boolean;
  pullSecret?: string[];
  mountFrom?: string[];
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('push')
    .description('push a bundle (or any image or index) to a registry; existing content is not sent again')
    .argument('<source>', 'oci:DIR[:TAG], oci-archive:FILE, or a reference in a registry')
    .argument('<target>', 'repository with a tag')
    .option(
      '--mount-from <repository...>',
      'repositories in the same registry that may have some of the layers',
    )
    .option('--insecure', 'allow plain HTTP and certificates that cannot be verified')
    .option(
      '--pull-secret <file...>',
      'a Kubernetes imagePullSecret (YAML, JSON, or its content) or a Docker config.json with auths',
    )
    .action(async (source: string, target: string, flags: PushFlags, command: Command) => {
      const { parseReference, formatReference } = await import('../../oci/reference.ts');
      const { RegistryError } = await import('../../oci/http/registry-error.ts');
      const { pushReference } = await import('../../oci/distribution/push.ts');
      const { readPullSecrets } = await import('../pull-secret-files.ts');
      const to = parseReference(target);
      if (to.transport !== 'registry') {
        throw new RegistryError('INVALID_REFERENCE', `${target} is not in a registry`);
      }
      const pullSecrets = await readPullSecrets(flags.pullSecret ?? []);
      const { digest } = await pushReference(parseReference(source), to, {
        ...contextOf(command),
        insecure: flags.insecure ?? false,
        credentials: { pullSecrets },
        ...(flags.mountFrom && { mountFrom: flags.mountFrom }),
      });
      process.stdout.write(`${formatReference(to)}@${digest}\n`);
    });
}
