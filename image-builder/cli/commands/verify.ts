// `image-builder verify REF`: who vouches for a bundle, and whether that is what is demanded.
import { type Command, Option } from 'commander';
import { invalidInput } from '../../base/diagnostics/error.ts';
import { printable } from '../../base/diagnostics/printable.ts';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import type { Verification } from '../../bundle/evidence/verify.ts';
import { printedValue } from '../printed-value.ts';
import { addRegistryOptions, addTimeoutOption, engineOptions } from '../registry-options.ts';
import { type TrustFlags, trustSettings } from '../trust-options.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('verify')
    .description(
      'check who has signed a bundle and what they say about it; fails when it is not what is demanded',
    )
    .argument('<reference>', 'registry reference, oci:DIR or oci-archive:FILE')
    .option('--key <file...>', 'public keys in PEM that are trusted; default: the policy of the machine')
    .option('--require <what...>', 'signature (default), provenance, sbom, bootTest')
    .option('--threshold <number>', 'how many different keys must have signed (default: 1)')
    .option(
      '--claim <name=value...>',
      'what the signature must claim; without a digest also repository and tag',
    )
    .option('--max-age <time>', 'oldest signature that counts: 90d, 12h, 30m, 600s')
    .option('--builder <uri>', 'builder.id that the provenance must name')
    .addOption(
      new Option('-o, --output <format>', 'output format').choices(['text', 'json', 'yaml']).default('text'),
    );
  addTimeoutOption(addRegistryOptions(command)).action(
    async (reference: string, flags: TrustFlags & { output: 'text' | 'json' | 'yaml' }) => {
      const [{ verifyBundle }, { trustFor }, { parseReference }, { loadBundleRules }] = await Promise.all([
        import('../../bundle/evidence/verify.ts'),
        import('../../bundle/evidence/trust-rules.ts'),
        import('../../oci/reference.ts'),
        import('../../policy/load.ts'),
      ]);
      const settings = await trustSettings(flags);
      const bundles = await loadBundleRules({ env: process.env, cwd: process.cwd() });
      const rules = trustFor(parseReference(reference), { bundles }, settings, '--key');
      if (rules.length === 0) throw invalidInput('--key', 'is missing: whose signature is trusted?');
      const { trust: _, ...options } = await engineOptions(command);
      const found = await verifyBundle(reference, rules, options);
      writeOut(
        flags.output === 'text'
          ? `${text(found).map(printable).join('\n')}\n`
          : await printedValue(found, flags.output),
      );
    },
  );
}

function text({ image, trusted, refused }: Verification): string[] {
  return [
    `${image}`,
    ...trusted.map(({ kind, key, claims }) => {
      const said = Object.entries(claims).map(([name, value]) => ` ${name}=${value}`);
      return `  ${kind} by the key ${key.slice(0, 16)}${said.join('')}`;
    }),
    ...refused.map(({ name, reason }) => `  not counted: ${name.slice(0, 19)} ${reason}`),
  ];
}
