// Follows the objects of a kind: listed once, then by the changes that the server sends
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes).
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiClient } from './api-client.ts';
import { ApiError } from './api-error.ts';
import { ClusterError } from './cluster-error.ts';

/** What every object has that is of interest here. */
export interface KubernetesObject {
  metadata?: { name?: string; uid?: string; resourceVersion?: string };
}

/** Which objects. */
export interface Watched {
  path: string;
  query: Readonly<Record<string, string>>;
}

/** Who is told. */
export interface Watcher<Item> {
  /** Everything that there is, at first and whenever changes may have been missed. */
  onList(items: readonly Item[]): void;
  onChange(type: 'ADDED' | 'MODIFIED' | 'DELETED', item: Item): void;
}

/** Seconds after which the server ends a watch and we ask for the next: a connection that died unseen is noticed. */
const WATCH_SECONDS = '240';
const [FIRST_PAUSE, LONGEST_PAUSE] = [250, 8000];

/**
 * Watches until the signal ends it; resolves then.
 * @param onReady called when the first list is there
 * @throws ApiError, ClusterError when the server refuses, or is gone for too long
 */
export async function watch<Item extends KubernetesObject>(
  api: ApiClient,
  { path, query }: Watched,
  watcher: Watcher<Item>,
  signal: AbortSignal,
  onReady: () => void,
): Promise<void> {
  try {
    for (;;) {
      const list = await api.request<{ items: Item[]; metadata: { resourceVersion: string } }>(
        { method: 'GET', path, query },
        signal,
      );
      watcher.onList(list.items);
      onReady();
      await followChanges(api, { path, query }, list.metadata.resourceVersion, watcher, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Follows the changes after a version, until the server no longer knows it. */
async function followChanges<Item extends KubernetesObject>(
  api: ApiClient,
  { path, query }: Watched,
  from: string,
  watcher: Watcher<Item>,
  signal: AbortSignal,
): Promise<void> {
  let resourceVersion = from;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    const all = { ...query, watch: 'true', allowWatchBookmarks: 'true', timeoutSeconds: WATCH_SECONDS };
    try {
      for await (const line of api.lines({ path, query: { ...all, resourceVersion } }, signal)) {
        const { type, object } = JSON.parse(line) as WatchEvent<Item>;
        // 410 Gone, as a rule: list anew.
        if (type === 'ERROR') return;
        pause = FIRST_PAUSE;
        resourceVersion = object.metadata?.resourceVersion ?? resourceVersion;
        if (type !== 'BOOKMARK') watcher.onChange(type, object);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof ApiError && error.status === 410) return;
      if (error instanceof ClusterError || !isOfConnection(error)) throw error;
    }
    await delay(pause, undefined, { signal });
  }
}

type WatchEvent<Item> = { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'; object: Item };

/** Whether a connection broke, or what came by it did: anything but an answer of the server. */
function isOfConnection(error: unknown): boolean {
  if (error instanceof SyntaxError) return true;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^E(?:[A-Z]+|RR_[A-Z_]+)$/.test(code);
}
