import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checksumFile } from '../../../image-builder/bundle/checksums.ts';

const directory = mkdtempSync(join(tmpdir(), 'checksums-'));
afterAll(() => rmSync(directory, { recursive: true }));

test.each([0, 1, 9_000_000])(
  'a file of %d bytes: size, digests, and progress up to its end',
  async (size) => {
    const content = Buffer.alloc(size, 'some content');
    const file = join(directory, `${size}`);
    writeFileSync(file, content);
    const progress: number[] = [];
    const checksums = await checksumFile(file, { onBytes: (done) => progress.push(done) });
    const digest = (algorithm: string) => createHash(algorithm).update(content).digest('hex');
    expect(checksums).toEqual({
      size,
      md5: digest('md5'),
      sha256: digest('sha256'),
      sha512: digest('sha512'),
    });
    expect(progress.at(-1)).toBe(size);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  },
);

test('what cannot be read is told', async () => {
  await expect(checksumFile(join(directory, 'absent'))).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(checksumFile(directory)).rejects.toMatchObject({ code: 'EISDIR' });
});

test('an abort stops it', async () => {
  const file = join(directory, 'aborted');
  writeFileSync(file, Buffer.alloc(50_000_000));
  const controller = new AbortController();
  const checksums = checksumFile(file, { signal: controller.signal, onBytes: () => controller.abort() });
  await expect(checksums).rejects.toMatchObject({ code: 'CANCELLED' });
});
