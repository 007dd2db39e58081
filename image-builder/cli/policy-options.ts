// Options by which the caller lets a spec do more, and the policy with them.
import type { Command } from 'commander';
import type { Policy } from '../policy/types.ts';

/** What commander parsed. */
export interface PolicyFlags {
  allowPath?: string[];
  allowOutput?: string[];
  storeRepository?: string;
}

/** Adds `--allow-path` to a command that reads what a spec names. */
export function addPathOption(command: Command): Command {
  return command.option(
    '--allow-path <path...>',
    'let the spec read this file or directory too; default: below the working directory and that of FILE',
  );
}

/** Adds `--allow-output` to a command that writes where a spec says. */
export function addOutputOption(command: Command): Command {
  return command.option(
    '--allow-output <directory...>',
    'let the spec write there too; default: below the working directory',
  );
}

/** The policy of a command: a person has named the spec. @throws InvalidInputError */
export async function policyOf(flags: PolicyFlags, cwd: string): Promise<Policy> {
  const { loadPolicy } = await import('../policy/load.ts');
  const { allowPath, allowOutput, storeRepository } = flags;
  return await loadPolicy({
    caller: 'person',
    env: process.env,
    cwd,
    ...(allowPath && { allowPath }),
    ...(allowOutput && { allowOutput }),
    ...(storeRepository && { storeRepository }),
  });
}
