// `image-builder scan REF`: known vulnerabilities of what is on the disks of a bundle.
import { type Command, Option } from 'commander';
import { printableLines } from '../../base/diagnostics/printable.ts';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import type { ScanReport, Severity } from '../../scan/vulnerability.ts';
import { SEVERITIES } from '../../scan/vulnerability.ts';
import { contextOf } from '../context.ts';
import { printedValue } from '../printed-value.ts';
import { addRegistryOptions, addTimeoutOption, engineOptions } from '../registry-options.ts';
import { trustSettings } from '../trust-options.ts';

interface ScanFlags {
  database: string[];
  vex?: string[];
  key?: string[];
  failOn?: Severity;
  output: 'text' | 'json' | 'sarif' | 'markdown';
}

/** The exit status when something as urgent as `--fail-on` says was found; that of errors is 1. */
const FOUND = 2;

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('scan')
    .description(
      'compare the packages on the disks of a bundle with databases of vulnerabilities; downloads nothing but what an address is given for',
    )
    .argument('<reference>', 'registry reference, oci:DIR or oci-archive:FILE')
    .requiredOption(
      '--database <file...>',
      'records of OSV for Debian or Ubuntu (JSON, ZIP archive, directory), or the JSON data of Debian’s security tracker; also an https address',
    )
    .option('--vex <file...>', 'what does not affect the disks: OpenVEX or CSAF (csaf_vex), as JSON')
    .option(
      '--key <file...>',
      'public keys in PEM: only bills of materials count that a provenance of one of them names',
    )
    .addOption(
      new Option('--fail-on <severity>', 'exit with status 2 for this severity or a more urgent one').choices(
        SEVERITIES,
      ),
    )
    .addOption(
      new Option(
        '-o, --output <format>',
        'output format; sarif is for code hosts, markdown for a pull request',
      )
        .choices(['text', 'json', 'sarif', 'markdown'])
        .default('text'),
    );
  addTimeoutOption(addRegistryOptions(command)).action(async (reference: string, flags: ScanFlags) => {
    const { scanBundles } = await import('../scan-bundle.ts');
    const options = { ...(await engineOptions(command)), ...contextOf(command) };
    const inputs = { databases: flags.database, vex: flags.vex ?? [] };
    const vouched = await vouchedSboms(reference, flags, options);
    const [report] = await scanBundles([reference], inputs, options, vouched);
    if (!report) return;
    writeOut(await render(report, flags.output));
    const { atLeast } = await import('../../scan/scan.ts');
    if (flags.failOn && atLeast(report, flags.failOn).length > 0) process.exitCode = FOUND;
  });
}

async function vouchedSboms(
  reference: string,
  { key }: ScanFlags,
  { trust: _, ...options }: Awaited<ReturnType<typeof engineOptions>>,
): Promise<Set<string> | undefined> {
  const settings = await trustSettings({ ...(key && { key }), require: ['provenance'] });
  if (!settings) return undefined;
  const [{ signedSboms }, { trustPolicy }] = await Promise.all([
    import('../../bundle/evidence/signed-sboms.ts'),
    import('../../attestation/trust-policy.ts'),
  ]);
  return await signedSboms(reference, [trustPolicy(settings, '--key')], options);
}

async function render(report: ScanReport, output: ScanFlags['output']): Promise<string> {
  switch (output) {
    case 'json':
      return await printedValue(report, 'json');
    case 'sarif': {
      const [{ sarifOf }, { version }] = await Promise.all([
        import('../../scan/sarif.ts'),
        import('../../embedded/release.ts'),
      ]);
      return await printedValue(sarifOf(report, version), 'json');
    }
    case 'markdown':
      return printableLines((await import('../../scan/markdown.ts')).renderMarkdown(report));
    case 'text':
      return printableLines((await import('../../scan/text.ts')).renderText(report));
  }
}
