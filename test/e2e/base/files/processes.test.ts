// Processes that all have the id 1, as in containers, write the same files of one directory at once.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const PACKAGES = 200;
const root = join(__dirname, '../../../..');

const directory = mkdtempSync(join(tmpdir(), 'processes-'));
afterAll(() => rmSync(directory, { recursive: true }));

test('none of them takes the files of another for its own', async () => {
  const program = join(directory, 'program.cjs');
  await build({
    stdin: {
      contents: `
        import { putIntoCache } from './image-builder/stages/rootfs/package-cache.ts';
        import { replaceFile } from './image-builder/base/files/replace.ts';
        const [, , directory, name] = process.argv;
        const files = Array.from({ length: ${PACKAGES} }, (_, i) => ({ sha256: String(i).padStart(64, '0'), file: 'p' + i }));
        const text = name.repeat(1 << 20);
        (async () => {
          await putIntoCache(directory + '/cache', files, directory + '/archives');
          for (let i = 0; i < 50; i++) await replaceFile(directory + '/text', text);
          console.log(process.pid);
        })();`,
      resolveDir: root,
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile: program,
  });
  const archives = join(directory, 'archives');
  mkdirSync(archives);
  for (let i = 0; i < PACKAGES; i++) writeFileSync(join(archives, `p${i}`), String(i));

  const namespaces = process.getuid?.() === 0 ? ['--pid'] : ['--user', '--map-root-user', '--pid'];
  const run = async (name: string) => {
    const argv = [...namespaces, '--fork', process.execPath, program, directory, name];
    return (await promisify(execFile)('unshare', argv)).stdout.trim();
  };
  expect(await Promise.all(['a', 'b', 'c', 'd'].map(run))).toEqual(['1', '1', '1', '1']);

  const text = readFileSync(join(directory, 'text'), 'utf8');
  expect(text).toBe((text[0] as string).repeat(1 << 20));
  const cached = readdirSync(join(directory, 'cache')).sort();
  expect(cached).toHaveLength(PACKAGES);
  for (const name of cached)
    expect(readFileSync(join(directory, 'cache', name), 'utf8')).toBe(String(Number(name)));
});
