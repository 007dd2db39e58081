// node.ts and bun.ts stand for each other: `#runtime` of package.json is one of them.
import * as bun from '../../../image-builder/runtime/bun.ts';
import * as node from '../../../image-builder/runtime/node.ts';

// Neither may need something that the other does not give.
const forNode: typeof bun = node;
const forBun: typeof node = bun;

test('both runtimes have the same exports', () => {
  expect(Object.keys(forBun).sort()).toEqual(Object.keys(forNode).sort());
  expect(Object.keys(forNode)).toContain('openTransport');
});
