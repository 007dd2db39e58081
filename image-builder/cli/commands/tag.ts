// `image-builder tag SOURCE TARGET...`: promotes an image within a registry without moving any data.
import type { Command } from 'commander';
import { contextOf } from '../context.ts';

interface TagFlags {
  insecure?: boolean;
  pullSecret?: string[];
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('tag')
    .description('add tags to an image in a registry, or put it into another repository, without moving data')
    .argument('<source>', 'reference with tag or digest')
    .argument('<targets...>', 'references with a tag, in the same registry')
    .option('--insecure', 'allow plain HTTP and certificates that cannot be verified')
    .option(
      '--pull-secret <file...>',
      'a Kubernetes imagePullSecret (YAML, JSON, or its content) or a Docker config.json with auths',
    )
    .action(async (source: string, targets: string[], flags: TagFlags, command: Command) => {
      const { parseReference, formatReference } = await import('../../oci/reference.ts');
      const { RegistryError } = await import('../../oci/http/registry-error.ts');
      const { tagImage } = await import('../../oci/distribution/tag.ts');
      const { signal } = contextOf(command);
      const [from, ...to] = [source, ...targets].map((text) => {
        const reference = parseReference(text);
        if (reference.transport === 'registry') return reference;
        throw new RegistryError('INVALID_REFERENCE', `${text} is not in a registry`);
      });
      if (!from) return;
      const { readPullSecrets } = await import('../pull-secret-files.ts');
      const pullSecrets = await readPullSecrets(flags.pullSecret ?? []);
      const digest = await tagImage(from, to, {
        signal,
        insecure: flags.insecure ?? false,
        credentials: { pullSecrets },
      });
      for (const target of to) process.stdout.write(`${formatReference(target)}@${digest}\n`);
    });
}
