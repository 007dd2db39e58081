import { parseStatus } from '../../../image-builder/sbom/installed-packages.ts';
import { debPackageUrl } from '../../../image-builder/sbom/package-url.ts';

const STATUS = `Package: login
Status: install ok installed
Maintainer: util-linux packagers <util-linux@packages.debian.org>
Architecture: amd64
Multi-Arch: foreign
Source: util-linux (2.41.5-0+deb13u1)
Version: 1:4.16.0-2+really2.41.5-0+deb13u1
Provides: who-is-who (= 1), other
Depends: libc6 (>= 2.4) | musl, libpam0g:any
Pre-Depends: libcrypt1 (>= 1:4.1.0)
Description: system login tools
 Package: not-a-field

Package: libc6
Status: hold ok installed
Architecture: i386
Version: 2.41-12

Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.41-12

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 1
`;

test('reads what is wholly installed, foreign architectures apart', () => {
  const packages = parseStatus(STATUS);
  expect(packages.map(({ name, architecture }) => `${name}:${architecture}`)).toEqual([
    'libc6:amd64',
    'libc6:i386',
    'login:amd64',
  ]);
  expect(packages[2]).toEqual({
    name: 'login',
    version: '1:4.16.0-2+really2.41.5-0+deb13u1',
    architecture: 'amd64',
    maintainer: 'util-linux packagers <util-linux@packages.debian.org>',
    source: { name: 'util-linux', version: '2.41.5-0+deb13u1' },
    depends: [['libcrypt1'], ['libc6', 'musl'], ['libpam0g']],
    provides: ['who-is-who', 'other'],
  });
  expect(packages[0]?.source).toEqual({ name: 'glibc', version: '2.41-12' });
});

test('package URLs name system and source as scanners want them', () => {
  const system = { id: 'debian', version: '13' };
  const [libc, , login] = parseStatus(STATUS).map((one) => debPackageUrl(one, system));
  expect(libc).toBe('pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13&upstream=glibc');
  expect(login).toBe(
    'pkg:deb/debian/login@1%3A4.16.0-2%2Breally2.41.5-0%2Bdeb13u1?arch=amd64&distro=debian-13&upstream=util-linux%402.41.5-0%2Bdeb13u1',
  );
});
