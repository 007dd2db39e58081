// `image-builder plan`: what a build would do, and why. Needs no tools and changes nothing.
import { type Command, Option } from 'commander';
import type { ExplainedStage } from '../../build/explain.ts';

export function register(program: Command): void {
  program
    .command('plan')
    .description(
      'show the stages of a build, their keys, which the store has, and what changed since the last one',
    )
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .addOption(
      new Option('-o, --output <format>', 'how the plan is printed')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option('--store <directory>', 'store of results; default: $IMAGE_BUILDER_STORE, else the user cache')
    .action(async (file: string, options: { output: 'text' | 'json'; store?: string }) => {
      const [{ readBuildFile }, { planBuild }, { explainPlan }] = await Promise.all([
        import('../spec-file.ts'),
        import('../../build/build.ts'),
        import('../../build/explain.ts'),
      ]);
      const cwd = process.cwd();
      const { resolved } = await readBuildFile(file, cwd);
      const plan = await planBuild(resolved, { cwd, ...(options.store && { store: options.store }) });
      const stages = await explainPlan(resolved.name, plan);
      process.stdout.write(
        options.output === 'json' ? `${JSON.stringify(stages, undefined, 2)}\n` : renderText(stages),
      );
    });
}

function renderText(stages: readonly ExplainedStage[]): string {
  const width = Math.max(...stages.map(({ stage }) => stage.length));
  const lines = stages.flatMap(({ stage, key, cached, changes = [] }) => [
    `${stage.padEnd(width)}  ${key.slice(0, 12)}  ${cached ? 'in the store' : 'to be built'}`,
    ...changes.map((change) => `  ${describeChange(change)}`),
  ]);
  return `${lines.join('\n')}\n`;
}

/** A change as a line for people. */
export function describeChange(change: { path: string; before?: unknown; after?: unknown }): string {
  const { path, before, after } = change;
  if (before === undefined && after === undefined) return `~ ${path}`;
  if (before === undefined) return `+ ${path}: ${show(after)}`;
  if (after === undefined) return `- ${path}: ${show(before)}`;
  return `~ ${path}: ${show(before)} → ${show(after)}`;
}

const SHOWN = 60;

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replaceAll('\n', '⏎');
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
}
