// Options by which the caller lets a spec do more, and the policy with them.
import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { Policy } from '../policy/policy.ts';

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
    'also let the spec read this file or directory; default: below the working directory and the directory of FILE',
  );
}

/** Adds `--allow-output` to a command that writes where a spec says. */
export function addOutputOption(command: Command): Command {
  return command.option(
    '--allow-output <directory...>',
    'also let the spec write to this directory; default: below the working directory',
  );
}

/**
 * The policy of a command. A person has named the spec, and answers for what lies beside it.
 * @param file the spec; `-`: standard input
 * @throws InvalidInputError
 */
export async function policyOf(flags: PolicyFlags, cwd: string, file: string): Promise<Policy> {
  const { loadPolicy } = await import('../policy/load.ts');
  const { allowPath = [], allowOutput, storeRepository } = flags;
  const beside = file === '-' ? [] : [dirname(file)];
  return await loadPolicy({
    caller: 'person',
    env: process.env,
    cwd,
    allowPath: [...beside, ...allowPath],
    ...(allowOutput && { allowOutput }),
    ...(storeRepository && { storeRepository }),
  });
}
