import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redactCredentials } from '../../../image-builder/base/diagnostics/redact.ts';
import { findExecutable, toolEnvironment, toolPath } from '../../../image-builder/sandbox/environment.ts';
import { Lines } from '../../../image-builder/sandbox/lines.ts';
import { findMissingTools, requireTools } from '../../../image-builder/sandbox/tools.ts';

describe('toolPath', () => {
  test('adds the sbin directories and drops relative entries', () => {
    const path = toolPath('/opt/bin:.:bin:/usr/bin');
    expect(path.slice(0, 2)).toEqual(['/opt/bin', '/usr/bin']);
    expect(path).toEqual(expect.arrayContaining(['/usr/sbin', '/sbin']));
    expect(path).not.toContain('.');
    expect(new Set(path).size).toBe(path.length);
  });
});

describe('toolEnvironment', () => {
  test('passes on proxies that are not empty and nothing that is not on its list', () => {
    const environment = toolEnvironment(
      {
        PATH: '/bin',
        HOME: '/root',
        http_proxy: 'http://proxy:3128',
        https_proxy: '',
        SECRET: 'x',
        LANG: 'de_DE',
      },
      { SOURCE_DATE_EPOCH: '1' },
    );
    expect(environment).toMatchObject({
      HOME: '/root',
      http_proxy: 'http://proxy:3128',
      SOURCE_DATE_EPOCH: '1',
    });
    expect(environment.LC_ALL).toBe('C.UTF-8');
    expect(environment).not.toHaveProperty('SECRET');
    expect(environment).not.toHaveProperty('https_proxy');
  });
});

describe('findExecutable', () => {
  const directory = mkdtempSync(join(tmpdir(), 'executors-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  test('finds what may be executed, only that', () => {
    writeFileSync(join(directory, 'yes'), '');
    writeFileSync(join(directory, 'no'), '');
    chmodSync(join(directory, 'yes'), 0o755);
    expect(findExecutable('yes', ['/nowhere', directory])).toBe(join(directory, 'yes'));
    expect(findExecutable(join(directory, 'yes'), [])).toBe(join(directory, 'yes'));
    if (process.getuid?.() !== 0) expect(findExecutable('no', [directory])).toBeUndefined();
    expect(findExecutable('absent', [directory])).toBeUndefined();
  });
});

describe('tools', () => {
  test('all missing tools are told at once, with their packages', () => {
    const missing = findMissingTools(['rootfs', 'osconfig'], ['/nowhere']);
    expect(missing).toEqual(
      expect.arrayContaining([
        { tool: 'ansible-playbook', package: 'ansible-core' },
        { tool: 'mmdebstrap', package: 'mmdebstrap' },
      ]),
    );
    expect(() => requireTools(['rootfs', 'osconfig'], ['/nowhere'])).toThrow(
      /ansible-playbook \(Debian package ansible-core\), .*mmdebstrap \(Debian package mmdebstrap\)/,
    );
  });

  test('nothing is said of tools that are there', () => {
    expect(findMissingTools(['sandbox'])).toEqual([]);
  });
});

describe('Lines', () => {
  const collect = (keep: number) => {
    const seen: string[] = [];
    return { seen, lines: new Lines((line) => seen.push(line), keep) };
  };

  test('joins chunks, splits lines, decodes characters that were cut', () => {
    const { seen, lines } = collect(10);
    const text = Buffer.from('grün\nblau');
    lines.write('stdout', text.subarray(0, 3));
    lines.write('stderr', Buffer.from('other\n'));
    lines.write('stdout', text.subarray(3));
    lines.end();
    expect(seen).toEqual(['other', 'grün', 'blau']);
  });

  test('keeps the last lines without blank ones, and the last state of a progress bar', () => {
    const { lines } = collect(2);
    lines.write('stdout', Buffer.from('1\n\n 10%\r 50%\r100%\n\nlast\n'));
    lines.end();
    expect(lines.last()).toEqual(['100%', 'last']);
  });
});

describe('redactCredentials', () => {
  test('hides user and password of a URL, nothing else', () => {
    expect(redactCredentials('via http://me:secret@proxy:3128 to a@b.c')).toBe(
      'via http://***@proxy:3128 to a@b.c',
    );
    expect(redactCredentials('https://host/path@1')).toBe('https://host/path@1');
  });
});
