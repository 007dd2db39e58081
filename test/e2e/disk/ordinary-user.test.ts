// An ordinary user makes the same bytes as root.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { bootTreeArchive } from '../support/boot-tree.ts';

/** A user whom root can become and who has subordinate ids. */
const user = (existsSync('/etc/subuid') ? readFileSync('/etc/subuid', 'utf8') : '')
  .split('\n')
  .map((line) => line.split(':')[0] ?? '')
  .find((name) => name && name !== 'root');
const possible = process.getuid?.() === 0 && user !== undefined;

(possible ? test : test.skip)(
  'a disk and an ISO made by an ordinary user have the bytes of those made by root',
  async () => {
    const archive = await bootTreeArchive();
    const directory = mkdtempSync(join(tmpdir(), 'image-builder-test-'));
    try {
      const program = join(directory, 'program.cjs');
      await build({
        entryPoints: [join(__dirname, 'assemble-program.ts')],
        ...{ bundle: true, platform: 'node', format: 'cjs', outfile: program, logLevel: 'error' },
      });
      chmodSync(directory, 0o755);
      const as = (name: string) => {
        const own = join(directory, name);
        execFileSync('install', ['-d', '-o', name, own]);
        const command = [process.execPath, program, archive, own].join(' ');
        return JSON.parse(
          execFileSync('su', [name, '-s', '/bin/sh', '-c', command], { encoding: 'utf8', cwd: '/' }),
        );
      };
      const [ordinary, root] = [as(user ?? ''), as('root')];
      expect(ordinary.mode).toBe('user-namespaces');
      expect(root.mode).not.toBe('user-namespaces');
      expect(ordinary).toMatchObject({ disk: root.disk, iso: root.iso });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
