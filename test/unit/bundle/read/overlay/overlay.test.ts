// What layers do to each other, case by case; test/e2e/oci/overlay.test.ts compares random ones with umoci.
import { readOverlay } from '../../../../../image-builder/bundle/read/overlay/read-files.ts';
import type { LayerEntry } from '../../../../../image-builder/bundle/read/overlay/scan-layer.ts';

const file = (path: string, text = path): LayerEntry => ({
  kind: 'file',
  path,
  size: text.length,
  mode: 0o644,
  content: Buffer.from(text),
});
const opaque = (path: string): LayerEntry => ({ kind: 'opaque', path });
const whiteout = (path: string): LayerEntry => ({ kind: 'whiteout', path });
const directory = (path: string): LayerEntry => ({ kind: 'directory', path });
const link = (path: string, target: string): LayerEntry => ({ kind: 'hardlink', path, target });

/** Lists a directory of layers, the uppermost first. */
async function list(path: string, ...layers: LayerEntry[][]) {
  const query = { files: [], directories: [{ path, recursive: true, list: true, content: () => true }] };
  const scan = async (layer: number) => ({
    entries: layers[layer] ?? [],
    links: [],
    coverage: 'full' as const,
  });
  const { files, layersRead } = await readOverlay(layers.length, query, scan, false);
  const contents = [...files.values()].map(({ path: name, content }) => [name, content?.toString()]);
  return { files: Object.fromEntries(contents), layersRead };
}

describe('an opaque directory', () => {
  const lower = [directory('d'), file('d/a'), directory('d/sub'), file('d/sub/b')];

  it('hides what lower layers have in it, at every depth', async () => {
    const upper = [directory('d'), opaque('d'), file('d/c')];
    expect((await list('d', upper, lower)).files).toEqual({ 'd/c': 'd/c' });
  });

  it('keeps what its own layer has in it, on whichever side of the marker', async () => {
    const upper = [file('d/before'), file('d/sub/before'), opaque('d'), file('d/after')];
    expect(Object.keys((await list('d', upper, lower)).files).sort()).toEqual([
      'd/after',
      'd/before',
      'd/sub/before',
    ]);
  });

  it('makes its listing certain: nothing below is read', async () => {
    expect((await list('d', [directory('d'), opaque('d'), file('d/c')], lower)).layersRead).toBe(1);
    expect((await list('d', [directory('d'), file('d/c')], lower)).layersRead).toBe(2);
  });

  it('lets upper layers add to it', async () => {
    const { files } = await list('d', [file('d/top')], [directory('d'), opaque('d'), file('d/c')], lower);
    expect(Object.keys(files).sort()).toEqual(['d/c', 'd/top']);
  });
});

describe('a whiteout', () => {
  it('hides a file, and a directory with all that is in it', async () => {
    const lower = [directory('d'), file('d/a'), file('d/sub/b'), file('d/kept')];
    const { files } = await list('d', [whiteout('d/a'), whiteout('d/sub')], lower);
    expect(Object.keys(files)).toEqual(['d/kept']);
  });

  it('makes it certain that there is nothing: nothing below is read', async () => {
    const query = { files: ['d/a'], directories: [] };
    const scan = async (layer: number) => ({
      entries: [[directory('d'), whiteout('d/a')], [file('d/a')]][layer] ?? [],
      links: [],
      coverage: 'full' as const,
    });
    const { files, layersRead } = await readOverlay(2, query, scan, false);
    expect({ count: files.size, layersRead }).toEqual({ count: 0, layersRead: 1 });
  });

  it('does not touch its own layer', async () => {
    const upper = [directory('d'), file('d/a', 'new'), whiteout('d/a')];
    expect((await list('d', upper, [file('d/a', 'old')])).files).toEqual({ 'd/a': 'new' });
  });
});

describe('a hard link', () => {
  it('has the content of its target, also of a lower layer', async () => {
    const { files } = await list('d', [link('d/b', 'd/a')], [directory('d'), file('d/a', 'text')]);
    expect(files).toEqual({ 'd/a': 'text', 'd/b': 'text' });
  });

  it('keeps it when the target changes or goes away later', async () => {
    const lower = [
      directory('d'),
      file('d/a', 'old'),
      file('d/x', 'gone'),
      link('d/b', 'd/a'),
      link('d/y', 'd/x'),
    ];
    const { files } = await list('d', [file('d/a', 'new'), whiteout('d/x')], lower);
    expect(files).toEqual({ 'd/a': 'new', 'd/b': 'old', 'd/y': 'gone' });
  });
});
