// `image-builder doctor`: finds out what will not work before it costs hours.
import type { Command } from 'commander';
import type { DoctorFinding } from '../../doctor/finding.ts';
import type { GlobalOptions } from '../context.ts';

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description(
      'check this machine, kustomizations for mistakes that kustomize does not report, and rendered Metal3 objects; with --log-format json, one finding in each line',
    )
    .argument(
      '[paths...]',
      'kustomizations to check, including those they refer to; or files rendered by kustomize, - for standard input',
      ['.'],
    )
    .action(async (paths: string[], _flags: unknown, command: Command) => {
      const { examine } = await import('../../doctor/doctor.ts');
      const { formatFinding } = await import('../../base/diagnostics/error.ts');
      const { formatFindingAsJson } = await import('../../base/diagnostics/render.ts');
      const asText = (finding: DoctorFinding) =>
        finding.tags.outcome === 'ok'
          ? formatFinding(finding).replace(/^info: /, 'ok: ')
          : formatFinding(finding);
      const isJson = command.optsWithGlobals<GlobalOptions>().logFormat === 'json';
      const findings = await examine(paths, process.env);
      for (const finding of findings) {
        process.stdout.write(`${isJson ? formatFindingAsJson(finding) : asText(finding)}\n`);
      }
      if (findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
    });
}
