// `image-builder doctor`: finds out what will not work before it costs hours.
import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('doctor')
    .description(
      'check this machine, kustomizations for mistakes that kustomize does not report, and rendered Metal3 objects',
    )
    .argument(
      '[paths...]',
      'kustomizations to check, including those they refer to; or files rendered by kustomize, - for standard input',
      ['.'],
    )
    .action(async (paths: string[]) => {
      const { examine } = await import('../../doctor/doctor.ts');
      const { formatFinding } = await import('../../base/diagnostics/error.ts');
      const findings = await examine(paths, process.env);
      for (const finding of findings) {
        const line = formatFinding(finding);
        const isOk = finding.tags?.outcome === 'ok';
        process.stdout.write(`${isOk ? line.replace(/^info: /, 'ok: ') : line}\n`);
      }
      if (findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
    });
}
