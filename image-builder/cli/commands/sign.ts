// `image-builder sign REF`: vouches for a bundle with a key of one's own, as cosign would.
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { invalidInput } from '../../base/diagnostics/error.ts';
import type { RegistryReference } from '../../oci/reference.ts';
import { contextOf } from '../context.ts';
import { parseClaims } from '../trust-options.ts';

interface SignFlags {
  key?: string;
  for?: string;
  claim?: string[];
  predicate?: string;
  type?: string;
  insecure?: boolean;
  pullSecret?: string[];
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('sign')
    .description(
      'sign a bundle (or any image or index) in a registry, a layout or an archive; cosign 3 verifies it',
    )
    .argument(
      '<reference>',
      'registry reference, whose repository and tag become claims of the signature; oci:DIR or oci-archive:FILE',
    )
    .option('--key <file>', 'private key in PEM, P-256 or Ed25519; default: $IMAGE_BUILDER_SIGNING_KEY')
    .option(
      '--for <reference>',
      'of a layout or an archive: where it will be; that repository and tag become claims',
    )
    .option('--claim <name=value...>', 'further claims')
    .option('--predicate <file>', 'make another statement than a signature: its predicate, a JSON object')
    .option('--type <uri>', 'predicate type of that statement')
    .option('--insecure', 'allow plain HTTP and certificates that cannot be verified')
    .option(
      '--pull-secret <file...>',
      'a Kubernetes imagePullSecret (YAML, JSON, or its content) or a Docker config.json with auths',
    )
    .action(async (reference: string, flags: SignFlags, command: Command) => {
      const { signImage } = await import('../../bundle/evidence/sign.ts');
      const { readSigningKey } = await import('../../attestation/signing-key-file.ts');
      const { readPullSecrets } = await import('../pull-secret-files.ts');
      const predicate = await readPredicate(flags);
      const signed = await signImage(reference, {
        ...contextOf(command),
        key: await readSigningKey(flags.key, process.env),
        ...(flags.for !== undefined && { publishedAs: await destinationOf(reference, flags.for) }),
        claims: parseClaims(flags.claim),
        insecure: flags.insecure ?? false,
        credentials: { pullSecrets: await readPullSecrets(flags.pullSecret ?? []) },
        now: Date.now() / 1000,
        ...(predicate && { predicate }),
      });
      if (signed.alreadySigned)
        process.stderr.write(`the key ${signed.keyId.slice(0, 16)} has signed it before\n`);
      process.stdout.write(`${signed.image}\n`);
    });
}

/** @throws InvalidInputError for a bundle that is in a registry, and for a place that is none */
async function destinationOf(reference: string, text: string): Promise<RegistryReference> {
  const { parseReference } = await import('../../oci/reference.ts');
  const destination = parseReference(text);
  if (destination.transport !== 'registry') throw invalidInput('--for', `${text} is in no registry`);
  if (parseReference(reference).transport === 'registry')
    throw invalidInput('--for', `is for layouts and archives; ${reference} is where it says`);
  return destination;
}

async function readPredicate({ predicate, type }: SignFlags) {
  if (predicate === undefined && type === undefined) return undefined;
  if (predicate === undefined || type === undefined)
    throw invalidInput(predicate === undefined ? '--predicate' : '--type', 'is missing: one needs the other');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(predicate, 'utf8'));
  } catch (cause) {
    throw invalidInput('--predicate', `${predicate}: ${(cause as Error).message}`, { cause });
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw invalidInput('--predicate', `${predicate} holds no JSON object`);
  return { type, content: { ...content } };
}
