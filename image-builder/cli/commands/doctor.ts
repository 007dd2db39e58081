// `image-builder doctor`: finds out what will not work before it costs hours.
import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('doctor')
    .description(
      'check this machine, kustomizations for the mistakes that kustomize is silent about, and rendered objects of Metal3',
    )
    .argument(
      '[paths...]',
      'kustomizations to check, with those that they name; files with what kustomize has rendered, - for standard input',
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
