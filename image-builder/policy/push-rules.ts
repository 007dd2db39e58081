// Whether something may be pushed.
import { type InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import { matchesRepository } from './patterns.ts';
import type { Policy } from './policy.ts';
import { howToAllow } from './refusal.ts';

/** Whether the spec may have something pushed to a repository. */
export function mayPush({ push }: Pick<Policy, 'push'>, repository: string): boolean {
  return push.some((pattern) => matchesRepository(pattern, repository));
}

/** The refusal to push what a field asks for. */
export function refusePush(field: string, repository: string): InvalidInputError {
  return invalidInput(field, explainNoPush(repository));
}

/** Why nothing is pushed to a repository, and what would change that. */
export function explainNoPush(repository: string): string {
  const how = howToAllow({
    variable: `IMAGE_BUILDER_PUSH=${repository}`,
    line: `push: [${repository}]`,
  });
  return `pushing to ${repository} needs permission; ${how}`;
}
