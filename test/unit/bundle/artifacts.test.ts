// What a bundle says of its images, read with distrust.
import { parseArtifacts } from '../../../image-builder/bundle/artifacts.ts';

const parse = (qcow: object) =>
  parseArtifacts(
    JSON.stringify({ qcows: { node: { file: 'node.qcow2', format: 'qcow2', ...qcow } } }),
    'example',
  );

test('the UUID of the root file system is kept', () => {
  const rootFSUUID = '6c1ffbc1-84b7-8bd1-a7a1-1d6ebc9c5f0e';
  expect(parse({ rootFSUUID }).qcows.node).toEqual({ file: 'node.qcow2', format: 'qcow2', rootFSUUID });
});

test.each([1, '', '6C1FFBC1-84B7-8BD1-A7A1-1D6EBC9C5F0E', '../6c1ffbc1', null])(
  '%j is not a UUID',
  (rootFSUUID) => {
    expect(() => parse({ rootFSUUID })).toThrow(
      '/profiles/artifacts.json of example: qcows.node.rootFSUUID is not a UUID',
    );
  },
);
