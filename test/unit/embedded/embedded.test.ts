import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assets } from '../../../image-builder/embedded/assets.ts';
import { version } from '../../../image-builder/embedded/release.ts';
import { writeAssets } from '../../../image-builder/embedded/write-assets.ts';

test('assets are written as they are in the source tree', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'assets-'));
  try {
    await writeAssets('stages/osconfig/ansible', directory);
    const ansible = assets.filter(({ path }) => path.startsWith('stages/osconfig/ansible/'));
    expect(ansible.length).toBeGreaterThan(0);
    for (const { path, content, mode } of ansible) {
      const file = join(directory, path.slice('stages/osconfig/ansible/'.length));
      expect(readFileSync(file, 'utf8')).toBe(content);
      expect(statSync(file).mode & 0o777).toBe(mode);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('the release knows its version', () => {
  expect(version).toMatch(/^\d+\.\d+\.\d+/);
});
