// `image-builder plan`: what a build would do, and why. Needs no tools and changes nothing.
import { type Command, Option } from 'commander';
import type { ExplainedStage } from '../../build/explain.ts';
import { addPathOption, type PolicyFlags, policyOf } from '../policy-options.ts';

interface PlanOptions extends PolicyFlags {
  output: 'text' | 'json';
  store?: string;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('plan')
    .description(
      'show the stages of a build, their keys, which of them are in the store, and what has changed since the last build',
    )
    .argument('<file>', 'file with the ImageBuilder object, - for standard input')
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .option(
      '--store <directory>',
      "directory of the store; default: $IMAGE_BUILDER_STORE, otherwise in the user's cache",
    );
  addPathOption(command).action(async (file: string, options: PlanOptions) => {
    const [{ readBuildFile }, { planBuild }, { explainPlan }] = await Promise.all([
      import('../spec-file.ts'),
      import('../../build/session.ts'),
      import('../../build/explain.ts'),
    ]);
    const cwd = process.cwd();
    const policy = await policyOf(options, cwd, file);
    const { resolved } = await readBuildFile(file, { cwd, policy });
    const plan = await planBuild(resolved, { cwd, policy, ...(options.store && { store: options.store }) });
    const stages = await explainPlan(resolved.name, plan);
    process.stdout.write(
      options.output === 'json' ? `${JSON.stringify(stages, undefined, 2)}\n` : await renderText(stages),
    );
  });
}

async function renderText(stages: readonly ExplainedStage[]): Promise<string> {
  const { describeReasons } = await import('../key-changes.ts');
  const width = Math.max(...stages.map(({ stage }) => stage.length));
  const lines = stages.flatMap(({ stage, key, cached, reasons }) => [
    `${stage.padEnd(width)}  ${key.slice(0, 12)}  ${cached ? 'in the store' : 'to be built'}`,
    ...(reasons ? describeReasons(reasons) : []).map((line) => `  ${line}`),
  ]);
  return `${lines.join('\n')}\n`;
}
