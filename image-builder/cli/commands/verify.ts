// `image-builder verify REF`: who vouches for a bundle, and whether that is what is demanded.
import { type Command, Option } from 'commander';
import { invalidInput } from '../../base/diagnostics/error.ts';
import { printable } from '../../base/diagnostics/printable.ts';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import { contextOf } from '../context.ts';
import { printedValue } from '../printed-value.ts';
import { addRegistryOptions, addTimeoutOption, engineOptions } from '../registry-options.ts';
import { type TrustFlags, trustSettings } from '../trust-options.ts';
import { verificationLines } from '../verification-text.ts';

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
    .option('--build-type <uri>', 'buildType that the provenance must name')
    .option(
      '--test-configuration <digest>',
      'what boot tests must have been run with, as this command shows it',
    )
    .option(
      '--rebuild',
      'also build it again from its signed provenance, in a store that is thrown away, and compare every digest; this runs what the builder has described',
    )
    .option(
      '--secrets <file>',
      'with --rebuild: values that the description leaves out, in YAML or JSON: a map from field to value',
    )
    .option(
      '--sign-key <file>',
      'with --rebuild: sign the bundle with this private key when its bytes are the same',
    )
    .addOption(
      new Option('-o, --output <format>', 'output format').choices(['text', 'json', 'yaml']).default('text'),
    );
  addTimeoutOption(addRegistryOptions(command)).action(async (reference: string, flags: VerifyFlags) => {
    const [{ verifyBundle }, { trustFor }, { parseReference }, { loadBundleRules }] = await Promise.all([
      import('../../bundle/evidence/verify.ts'),
      import('../../bundle/evidence/trust-rules.ts'),
      import('../../oci/reference.ts'),
      import('../../policy/load.ts'),
    ]);
    requireRebuild(flags);
    const settings = await trustSettings(flags);
    const bundles = await loadBundleRules({ env: process.env, cwd: process.cwd() });
    const rules = trustFor(parseReference(reference), { bundles }, settings, '--key');
    if (rules.length === 0) throw invalidInput('--key', 'is missing: whose signature is trusted?');
    const { trust: _, ...options } = await engineOptions(command);
    if (flags.rebuild) {
      const { rebuildBundle } = await import('../rebuild.ts');
      await rebuildBundle(reference, rules, options, { ...flags, context: contextOf(command) });
      return;
    }
    const found = await verifyBundle(reference, rules, options);
    writeOut(
      flags.output === 'text'
        ? `${verificationLines(found).map(printable).join('\n')}\n`
        : await printedValue(found, flags.output),
    );
  });
}

/** What commander parsed. */
interface VerifyFlags extends TrustFlags {
  rebuild?: boolean;
  secrets?: string;
  signKey?: string;
  output: 'text' | 'json' | 'yaml';
}

/** Options that mean nothing alone. */
function requireRebuild({ rebuild, secrets, signKey }: VerifyFlags): void {
  if (rebuild) return;
  if (secrets !== undefined) throw invalidInput('--secrets', 'needs --rebuild');
  if (signKey !== undefined) throw invalidInput('--sign-key', 'needs --rebuild');
}
