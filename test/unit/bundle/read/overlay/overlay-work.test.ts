// Layers that are small and take long to be laid over each other: an end in seconds, since nothing interrupts that.

import { OverlayTree } from '../../../../../image-builder/bundle/read/overlay/merged-tree.ts';
import type { LayerEntry } from '../../../../../image-builder/bundle/read/overlay/scan-layer.ts';
import { WatchList } from '../../../../../image-builder/bundle/read/overlay/wanted-paths.ts';
import { StreamByteReader } from '../../../../../image-builder/oci/tar/byte-reader.ts';
import { TarReader } from '../../../../../image-builder/oci/tar/reader.ts';

jest.setTimeout(60_000);

const many = <T>(count: number, make: (index: number) => T) =>
  Array.from({ length: count }, (_, index) => make(index));
const file = (path: string): LayerEntry => ({ kind: 'file', path, size: 1, mode: 0 });
/** CPU seconds of something that may end by the limit, and by no other error. */
function seconds(run: () => unknown): number {
  const before = process.cpuUsage();
  try {
    run();
  } catch (error) {
    expect(error).toMatchObject({ code: 'TOO_LARGE' });
  }
  return process.cpuUsage(before).user / 1e6;
}
const tree = (...layers: LayerEntry[][]) => {
  const made = new OverlayTree(true);
  for (const [index, entries] of layers.entries()) made.apply(layers.length - index, entries);
  return made;
};

it.each<[string, () => unknown]>([
  [
    'a directory that is emptied again and again',
    () =>
      tree(
        many(60_000, (n) => file(`profiles/${n}`)).concat(
          many(60_000, () => ({ kind: 'opaque', path: 'profiles' })),
        ),
      ),
  ],
  [
    'long ways through links',
    () => {
      const links = many(38, (n): LayerEntry => {
        const target = `l${n + 1}/${'x/../'.repeat(800)}`;
        return { kind: 'symlink', path: `l${n}`, target };
      });
      const entries = [...links, file('l38/x/y'), ...many(5000, (n) => file(`l0/${n}`))];
      return tree(entries);
    },
  ],
])('%s', (_, run) => expect(seconds(run)).toBeLessThan(10));

it('links to what is wanted, one after the other', () => {
  const watch = new WatchList({ files: [], directories: [{ path: 'profiles', content: () => true }] });
  const taken = seconds(() => {
    for (let n = 0; n < 100_000; n++) watch.addAliases(`l${n}`, 'profiles');
  });
  expect(taken).toBeLessThan(10);
  // Others cost nothing, however many there are.
  const other = new WatchList({ files: many(5000, (n) => `profiles/${n}`), directories: [] });
  expect(seconds(() => many(100_000, (n) => other.addAliases(`l${n}`, 'usr/bin/busybox')))).toBeLessThan(2);
});

describe('extended headers', () => {
  const header = (type: string, size: number) => {
    const block = Buffer.alloc(512);
    block.write('x', 0);
    block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
    block.write('        ', 148);
    block.write(type, 156);
    block.write('ustar\x0000', 257);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return block;
  };
  const records = (bytes: number) => {
    const content = Buffer.from('5 a=\n'.repeat(bytes / 5));
    return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
  };
  const read = async (...blocks: Buffer[]) => {
    const stream = async function* () {
      yield Buffer.concat(blocks);
    };
    const reader = new TarReader(new StreamByteReader(stream()), 'it');
    let entries = 0;
    while (await reader.next()) entries++;
    return entries;
  };

  it('may have as many records as fit', async () => {
    expect(await read(header('x', 1_048_575), records(1_048_575), header('0', 0))).toBe(1);
  });

  it.each(['x', 'g', 'L', 'K'])('are limited together (%s)', async (type) => {
    const one = [header(type, 600_000), records(600_000)];
    await expect(read(...one, ...one, header('0', 0))).rejects.toMatchObject({ code: 'TAR_TOO_LARGE' });
    const apart = read(...one, header('0', 0), ...one, header('0', 0));
    if (type === 'g') await expect(apart).rejects.toMatchObject({ code: 'TAR_TOO_LARGE' });
    else if (type === 'x') expect(await apart).toBe(2);
    else await expect(apart).rejects.toMatchObject({ code: 'INVALID_TAR' });
  });
});
