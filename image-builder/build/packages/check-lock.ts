// A lock file that was made for another spec is refused: it would silently leave out what was added since.
import { InvalidInputError } from '../../base/diagnostics/error.ts';
import { preloadReferences } from '../../spec/variables/kubernetes/preload.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { ResolvedLock } from '../../spec/variables/resolved-lock.ts';
import { requestedPackages } from '../../stages/rootfs/apt-sources.ts';

/**
 * Makes sure that a lock was made for this spec.
 * @throws InvalidInputError with everything that the lock and the spec disagree about
 */
export function checkLock({ distribution, lock, rootfs, preload }: ResolvedBuild): void {
  if (lock === undefined) return;
  const { multistrap } = rootfs;
  const differences = [
    ...(lock.distribution === distribution.name
      ? []
      : [`was made for ${lock.distribution}, not for ${distribution.name}`]),
    ...difference('packages', lock.requested, requestedPackages(multistrap, distribution.boot_packages)),
    ...difference('unapproved packages', lock.unapproved, multistrap.unapproved_packages),
    ...missingRepositories(lock, multistrap.repos),
    ...difference(
      'container images',
      Object.keys(lock.images ?? {}),
      preload ? preloadReferences(preload) : [],
    ),
  ];
  if (differences.length === 0) return;
  throw new InvalidInputError(
    differences.map((message) => ({
      severity: 'error',
      field: 'spec.build.lock',
      message: `${message}; run "image-builder lock" again`,
    })),
  );
}

function difference(what: string, before: readonly string[], after: readonly string[]): string[] {
  const changes = [
    ...after.filter((name) => !before.includes(name)).map((name) => `+${name}`),
    ...before.filter((name) => !after.includes(name)).map((name) => `-${name}`),
  ];
  return changes.length === 0 ? [] : [`was made for a different set of ${what}: ${changes.join(' ')}`];
}

/** Those that locked packages came from; a repository that is new has nothing yet that is used. */
function missingRepositories(lock: ResolvedLock, repos: readonly { name: string }[]): string[] {
  const names = new Set(repos.map(({ name }) => name));
  const missing = new Set(
    lock.packages.map(({ repository }) => repository).filter((name) => !names.has(name)),
  );
  return missing.size === 0 ? [] : [`has packages of repositories that are gone: ${[...missing].join(' ')}`];
}
