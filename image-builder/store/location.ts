// Where the store is.

import { isAbsolute, join, resolve } from 'node:path';
import type { Env } from '../base/env.ts';
import { StoreError } from './errors.ts';

/**
 * The store's directory: what the caller asks for, else `IMAGE_BUILDER_STORE`, else the user's cache directory
 * (XDG Base Directory Specification 0.8: `$XDG_CACHE_HOME`, ignored unless absolute, else `$HOME/.cache`).
 * @throws StoreError when nothing tells
 */
export function storeDirectory(env: Env, options: { store?: string; cwd: string }): string {
  const chosen = options.store || env.IMAGE_BUILDER_STORE;
  if (chosen) return resolve(options.cwd, chosen);
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) {
    return join(env.XDG_CACHE_HOME, 'image-builder', 'store');
  }
  if (env.HOME && isAbsolute(env.HOME)) return join(env.HOME, '.cache', 'image-builder', 'store');
  throw new StoreError('STORE_UNUSABLE', 'the store has no location: HOME is not set', {
    hint: 'name a directory with IMAGE_BUILDER_STORE or --store',
  });
}
