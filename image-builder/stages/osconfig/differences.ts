// How a QCOW's configuration differs from the one that its root file system has already. Pure.
import { isDeepStrictEqual } from 'node:util';
import type { ResolvedOsconfig, RunContext } from '../../spec/variables/resolved-osconfig.ts';

/** An item of a list of which each context takes its own. */
interface ContextItem {
  run_contexts: readonly RunContext[];
}

/**
 * Whether the role has something to do in the context `qcow` on a tree that it has configured with `common`: an item
 * for that context, or a setting with another value.
 */
export function qcowDiffers(osconfig: ResolvedOsconfig, common: ResolvedOsconfig): boolean {
  const hasItem = Object.values(osconfig)
    .flat()
    .some((item) => hasContexts(item) && item.run_contexts.includes('qcow'));
  return hasItem || changedSettings(osconfig, common).length > 0;
}

/**
 * The settings that have another value than in `common`, as dotted paths: `banners.motd`, `sysctl`. Only the files of
 * these are written again: what `common` has put in the place of the others, by an item or a script, stays.
 */
export function changedSettings(osconfig: ResolvedOsconfig, common: ResolvedOsconfig): string[] {
  return changesIn(osconfig, common, '');
}

function changesIn(value: unknown, before: unknown, path: string): string[] {
  if (isMap(value)) {
    const under = isMap(before) ? before : {};
    const prefix = path === '' ? '' : `${path}.`;
    return [...new Set([...Object.keys(value), ...Object.keys(under)])].flatMap((name) =>
      changesIn(value[name], under[name], `${prefix}${name}`),
    );
  }
  return isDeepStrictEqual(settingsOf(value), settingsOf(before)) ? [] : [path];
}

/** A list of items for contexts is no setting; each context takes its own of it. */
const settingsOf = (value: unknown): unknown =>
  Array.isArray(value) ? value.filter((item) => !hasContexts(item)) : value;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function hasContexts(item: unknown): item is ContextItem {
  return typeof item === 'object' && item !== null && 'run_contexts' in item;
}
