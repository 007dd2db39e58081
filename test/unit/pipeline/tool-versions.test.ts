// Versions out of dpkg's database.
import { parseVersions } from '../../../image-builder/pipeline/tool-versions.ts';

const paragraph = (name: string, version: string, state = 'install ok installed') =>
  `Package: ${name}\nStatus: ${state}\nMaintainer: M\nVersion: ${version}\nDescription: x\n Package: mtools\n`;
const status = [
  paragraph('tar', '1.34+dfsg-1.2'),
  paragraph('mmdebstrap', '1.3.5-7'),
  paragraph('gone', '9', 'deinstall ok config-files'),
  paragraph('half', '9', 'install ok half-installed'),
  paragraph('last', '1:2.0~rc1'),
].join('\n');

test('finds installed packages by their exact name', () => {
  expect(parseVersions(status, ['tar', 'mmdebstrap', 'last'])).toEqual({
    tar: '1.34+dfsg-1.2',
    mmdebstrap: '1.3.5-7',
    last: '1:2.0~rc1',
  });
});

test('leaves out what is not installed', () => {
  expect(parseVersions(status, ['gone', 'half', 'mtools', 'ta', 'mmdeb', ''])).toEqual({});
  expect(parseVersions('', ['tar'])).toEqual({});
});
