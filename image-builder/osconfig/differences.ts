// Whether a QCOW's configuration differs from the one that its root file system has already. Pure.
import { isDeepStrictEqual } from 'node:util';
import type { ResolvedOsconfig, RunContext } from '../variables/types.ts';

/** An item of a list of which each context takes its own. */
interface ContextItem {
  run_contexts: readonly RunContext[];
}

/**
 * Whether the role has something to do in the context `qcow` on a tree that it has configured with `common`: an item
 * for that context, or a setting with another value.
 */
export function qcowDiffers(osconfig: ResolvedOsconfig, common: ResolvedOsconfig): boolean {
  const before: Record<string, unknown> = { ...common };
  return Object.entries(osconfig).some(([name, value]) => {
    if (!Array.isArray(value)) return !isDeepStrictEqual(value, before[name]);
    const hasItem = value.some((item) => hasContexts(item) && item.run_contexts.includes('qcow'));
    return hasItem || !isDeepStrictEqual(settingsOf(value), settingsOf(before[name]));
  });
}

const settingsOf = (list: unknown): unknown[] =>
  (Array.isArray(list) ? list : []).filter((item) => !hasContexts(item));

function hasContexts(item: unknown): item is ContextItem {
  return typeof item === 'object' && item !== null && 'run_contexts' in item;
}
