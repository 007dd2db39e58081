// What a spec can have read: regular files below the directory that the caller stands in, and what is allowed besides.
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpecFiles } from '../../../image-builder/policy/spec-files.ts';

const directory = realpathSync(mkdtempSync(join(tmpdir(), 'image-builder-spec-files-')));
afterAll(() => rmSync(directory, { recursive: true }));
const cwd = join(directory, 'work');
const write = (path: string, content: string | Buffer) => {
  mkdirSync(join(directory, path, '..'), { recursive: true });
  writeFileSync(join(directory, path), content);
};
write('work/inside', 'text');
write('work/.git/config', 'token');
write('work/sub/.git/config', 'token');
write('outside', 'secret');
write('work-too', 'secret');
write('allowed/key', 'key');
const files = new SpecFiles(cwd);

const codeOf = (path: string, from = files) =>
  from.read(path).then(
    () => 'read',
    ({ code }) => code,
  );

test('below the directory, by relative and absolute names, also where that is itself behind a link', async () => {
  expect(await files.readText('inside')).toBe('text');
  expect(await files.readText('sub/../inside')).toBe('text');
  expect(await files.readText(join(cwd, 'inside'))).toBe('text');
  symlinkSync(cwd, join(directory, 'link'));
  const linked = join(directory, 'link');
  expect(await new SpecFiles(linked).readText('inside')).toBe('text');
  expect(await new SpecFiles(linked).readText(join(cwd, 'inside'))).toBe('text');
  expect(await files.readText(join(linked, 'inside'))).toBe('text');
});

test('nothing outside, however it is named, and its absence looks the same', async () => {
  symlinkSync('../outside', join(cwd, 'leads-out'));
  symlinkSync('..', join(cwd, 'parent'));
  symlinkSync('../nothing', join(cwd, 'dangling'));
  const paths = [
    '../outside',
    '/etc/passwd',
    join(directory, 'outside'),
    '../work-too',
    'leads-out',
    'parent/outside',
  ];
  const absent = [
    '../nothing',
    '/etc/image-builder-nothing',
    'parent/nothing',
    'dangling',
    '/proc/self/environ',
  ];
  for (const path of [...paths, ...absent])
    expect([path, await codeOf(path)]).toEqual([path, 'PATH_OUTSIDE']);
  const message = async (path: string) => (await files.read(path).catch(({ message }) => message)) as string;
  const expected = (path: string) =>
    `${path} is outside the paths that this spec may use; allow it with --allow-path ${path} (command line), or with IMAGE_BUILDER_ALLOW_PATHS=${path} (environment), or with "read: [${path}]" in /etc/image-builder/policy.yaml or ~/.config/image-builder/policy.yaml`;
  for (const path of [join(directory, 'outside'), join(directory, 'nothing')]) {
    expect(await message(path)).toBe(expected(path));
  }
});

test('what is allowed besides: directories and single files', async () => {
  const more = new SpecFiles(cwd, [join(directory, 'allowed'), join(directory, 'outside'), '/nowhere']);
  expect(await more.readText('../allowed/key')).toBe('key');
  expect(await more.readText('../outside')).toBe('secret');
  expect(await codeOf('../work-too', more)).toBe('PATH_OUTSIDE');
  expect(await codeOf('/nowhere/x', more)).toBe('PATH_OUTSIDE');
});

test("a repository's own files are never read: they may hold the token it was cloned with", async () => {
  expect(await codeOf('.git/config')).toBe('PATH_OUTSIDE');
  expect(await codeOf('sub/.git/config')).toBe('PATH_OUTSIDE');
  symlinkSync('.git', join(cwd, 'innocent'));
  expect(await codeOf('innocent/config')).toBe('PATH_OUTSIDE');
  await expect(files.list('innocent')).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
});

test('whoever allows everything allows no look at processes and devices', async () => {
  const everything = new SpecFiles(cwd, ['/']);
  expect(await everything.readText('../outside')).toBe('secret');
  for (const path of ['/proc/self/environ', '/sys/kernel/notes', '/dev/null', '/proc/self/root/etc/passwd']) {
    const expected = path.startsWith('/proc/self/root') ? 'read' : 'PATH_OUTSIDE';
    expect([path, await codeOf(path, everything)]).toEqual([path, expected]);
  }
});

test('regular files of a decent size only, and nothing is waited for', async () => {
  execFileSync('mkfifo', [join(cwd, 'fifo')]);
  expect(await codeOf('fifo')).toBe('NOT_A_FILE');
  expect(await codeOf('sub')).toBe('NOT_A_FILE');
  const devices = new SpecFiles('/dev');
  expect(await codeOf('zero', devices)).toBe('NOT_A_FILE');
  expect(await codeOf('tty', devices)).not.toBe('read');
  // Its size is 0.
  const endless = new SpecFiles('/proc');
  await expect(endless.read('self/maps', 10)).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
  await expect(files.read('inside', 3)).rejects.toMatchObject({ code: 'FILE_TOO_LARGE' });
  expect((await files.read('inside', 4)).toString()).toBe('text');
});

test('links that lead to themselves, and what is not text', async () => {
  symlinkSync('loop', join(cwd, 'loop'));
  expect(await codeOf('loop')).toBe('PATH_LOOP');
  expect(await codeOf('absent')).toBe('PATH_MISSING');
  write('work/latin', Buffer.from([0xe9]));
  await expect(files.readText('latin')).rejects.toThrow(/latin is not UTF-8 text/);
});

describe('a tree', () => {
  test('its files and those behind links that stay inside', async () => {
    write('work/tree/a', 'a');
    write('work/tree/b/c', 'c');
    write('work/shared/d', 'd');
    write('work/tree/.git/HEAD', '');
    symlinkSync('../shared', join(cwd, 'tree/e'));
    symlinkSync('../inside', join(cwd, 'tree/f'));
    // The same directory twice is no loop.
    symlinkSync('../shared', join(cwd, 'tree/g'));
    const found = await files.list('tree');
    expect([...found.keys()].sort()).toEqual(['a', 'b/c', 'e/d', 'f', 'g/d']);
    expect(await files.readText(found.get('e/d') ?? '')).toBe('d');
  });

  test('a link out of it is refused, a loop is told', async () => {
    mkdirSync(join(cwd, 'bad'));
    symlinkSync('/etc', join(cwd, 'bad/etc'));
    await expect(files.list('bad')).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
    mkdirSync(join(cwd, 'round/and'), { recursive: true });
    symlinkSync('..', join(cwd, 'round/and/round'));
    await expect(files.list('round')).rejects.toMatchObject({ code: 'PATH_LOOP' });
    mkdirSync(join(cwd, 'self'));
    symlinkSync('self', join(cwd, 'self/self'));
    await expect(files.list('self')).rejects.toMatchObject({ code: 'PATH_LOOP' });
  });

  test('what is none', async () => {
    expect(await files.isDirectory('tree')).toBe(true);
    expect(await files.isDirectory('inside')).toBe(false);
    expect(await files.isDirectory('absent')).toBe(false);
    await expect(files.isDirectory('/etc')).rejects.toMatchObject({ code: 'PATH_OUTSIDE' });
  });
});

test('a hard link is the file: it is as much inside as what it names', async () => {
  linkSync(join(directory, 'outside'), join(cwd, 'hard'));
  // Who can make one can read the file already (fs.protected_hardlinks), and repositories cannot hold any.
  expect(await codeOf('hard')).toBe('read');
});
