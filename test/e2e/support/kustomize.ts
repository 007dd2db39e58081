// The real kustomizes: 4.5.4 and the newest as scripts/setup.sh fetches them, and a 5.x, also from where the user has put it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../../..');

const fetched = (version: string): string | undefined =>
  [join(root, `.cache/bin/kustomize-${version}`)].find((path) => existsSync(path));

/** The executables by version; the tests of those that are not there are reported as skipped. */
export function kustomizeVersions(): [version: string, path: string | undefined][] {
  return [
    ['4.5.4', fetched('4.5')],
    ['5', kustomize5()],
    ['5.8', fetched('5.8')],
  ];
}

/** The oldest and the usual one, those that are there: for tests that take long. */
export async function kustomizes(): Promise<[version: string, path: string][]> {
  return kustomizeVersions()
    .slice(0, 2)
    .filter((entry): entry is [string, string] => entry[1] !== undefined);
}

function kustomize5(): string | undefined {
  const directories = [join(root, '.cache/bin'), ...(process.env.PATH ?? '').split(':'), goBin()];
  const candidates = [
    process.env.KUSTOMIZE5 ?? '',
    ...directories.map((directory) => join(directory, 'kustomize')),
  ];
  return candidates.find((path) => path !== '' && existsSync(path) && !isVersion4(path));
}

function isVersion4(path: string): boolean {
  return /v4\.|kustomize\/v4/.test(execFileSync(path, ['version'], { encoding: 'utf8' }));
}

function goBin(): string {
  try {
    return join(execFileSync('go', ['env', 'GOPATH'], { encoding: 'utf8' }).trim(), 'bin');
  } catch {
    return '/nonexistent';
  }
}
