// The time of a base, and the list of the repository that it is installed from.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderIndexEntry } from '../../../../image-builder/stages/rootfs/chosen-repository.ts';
import { newestBuild } from '../../../../image-builder/stages/rootfs/layers.ts';

test('a base is as new as the newest of its package files says by itself', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'layers-'));
  const packageOf = (time: string) =>
    `!<arch>\ndebian-binary   ${time.padEnd(12)}0     0     100644  4         \`\n2.0\n`;
  try {
    writeFileSync(join(directory, 'old.deb'), packageOf('1700000000'));
    writeFileSync(join(directory, 'new.deb'), packageOf('1750000000'));
    writeFileSync(join(directory, 'odd.deb'), packageOf(''));
    writeFileSync(join(directory, 'cut.deb'), '!<arch>\n');
    expect(await newestBuild(['old.deb', 'new.deb', 'odd.deb', 'cut.deb'], directory)).toBe(1750000000);
    expect(await newestBuild(['old.deb', 'odd.deb'], directory)).toBe(1700000000);
    expect(await newestBuild([], directory)).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe('an entry of the repository of chosen packages', () => {
  const place = { file: 'a_1%3a1_all.deb', size: 7, sha256: 'ab' };

  test('is a control file and where the file is here', () => {
    expect(renderIndexEntry({ control: 'Package: a\nVersion: 1:1', ...place })).toBe(
      'Package: a\nVersion: 1:1\nFilename: a_1%3a1_all.deb\nSize: 7\nSHA256: ab\n',
    );
  });

  test('has nothing of where a package list has had it', () => {
    const control =
      'Package: a\nFilename: pool/a.deb\nDepends: b,\n c\nsize: 9\nMD5sum: 00\nSHA1: 00\nSHA256:\n 00\nSHA512: 00\nTag: x\n';
    expect(renderIndexEntry({ control, ...place })).toBe(
      'Package: a\nDepends: b,\n c\nTag: x\nFilename: a_1%3a1_all.deb\nSize: 7\nSHA256: ab\n',
    );
  });
});
