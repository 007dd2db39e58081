// `image-builder doctor`: finds out what will not work before it costs hours.
import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('check this machine, and kustomizations for the mistakes that kustomize is silent about')
    .argument('[directories...]', 'kustomizations to check, with those that they name', ['.'])
    .action(async (directories: string[]) => {
      const { examine } = await import('../../doctor/doctor.ts');
      const { formatFinding } = await import('../../diagnostics/error.ts');
      const findings = await examine(directories, process.env);
      for (const finding of findings) {
        process.stdout.write(`${formatFinding(finding).replace(/^info: /, 'ok: ')}\n`);
      }
      if (findings.some(({ severity }) => severity === 'error')) process.exitCode = 1;
    });
}
