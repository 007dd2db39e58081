// What of a build's variables stands among the inputs of stages, which are written down and shared.
import { hashOf } from '../pipeline/keys.ts';
import { osconfigWithoutCredentials, repositoryWithoutCredentials } from '../spec/variables/credentials.ts';
import type { ResolvedMultistrap } from '../spec/variables/resolved-multistrap.ts';
import type { ResolvedOsconfig, RunContext } from '../spec/variables/resolved-osconfig.ts';

/**
 * Inputs are written down: secret answers are only there as a hash, under a name that is never shown, and addresses
 * without the logins in them.
 */
export function withoutSecrets<T extends Pick<ResolvedMultistrap, 'debconf' | 'repos'>>(multistrap: T) {
  return {
    ...multistrap,
    repos: multistrap.repos.map(repositoryWithoutCredentials),
    debconf: multistrap.debconf.map(({ value, ...selection }) =>
      selection.type === 'password'
        ? { ...selection, password_hash: hashOf(value) }
        : { ...selection, value },
    ),
  };
}

/** The variables of osconfig that act in a context: lists without the items that run in the other one only. */
export function forContext(osconfig: ResolvedOsconfig, context: RunContext): ResolvedOsconfig {
  const entries = Object.entries(osconfigWithoutCredentials(osconfig)).map(([name, value]) => [
    name,
    Array.isArray(value) ? itemsFor(value, context) : value,
  ]);
  return Object.fromEntries(entries) as ResolvedOsconfig;
}

/** The list itself when all of it runs: images share their lists, and hashing knows a list again. */
function itemsFor(items: readonly object[], context: RunContext): readonly object[] {
  return items.every((item) => runsIn(item, context)) ? items : items.filter((item) => runsIn(item, context));
}

function runsIn(item: object, context: RunContext): boolean {
  return !('run_contexts' in item) || (item.run_contexts as RunContext[]).includes(context);
}
