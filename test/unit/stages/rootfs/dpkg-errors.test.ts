import { DpkgErrors } from '../../../../image-builder/stages/rootfs/dpkg-errors.ts';

const read = (...lines: string[]) => {
  const errors = new DpkgErrors();
  for (const line of lines) errors.read(line);
  return errors;
};

test('what a failing package has said is found among what others say', () => {
  const errors = read(
    'Setting up good (1) ...',
    'good is fine',
    'Setting up broken:amd64 (2) ...',
    'why it is broken',
    'dpkg: error processing package broken:amd64 (--configure):',
    ' installed broken package post-installation script subprocess returned error exit status 1',
    'Setting up other (3) ...',
    'Errors were encountered while processing:',
    ' broken:amd64',
  );
  expect(errors.packages).toEqual(['broken']);
  expect(errors.lines).toEqual([
    'Setting up broken:amd64 (2) ...',
    'why it is broken',
    'dpkg: error processing package broken:amd64 (--configure):',
    ' installed broken package post-installation script subprocess returned error exit status 1',
  ]);
});

test('a package file that cannot be unpacked is named by its package', () => {
  const errors = read(
    'dpkg: error processing archive /var/cache/apt/archives/vim_2%3a9_amd64.deb (--unpack):',
    ' corrupt',
  );
  expect(errors.packages).toEqual(['vim']);
});

test('without a complaint there is nothing to tell', () => {
  expect(read('Setting up good (1) ...').lines).toEqual([]);
});
