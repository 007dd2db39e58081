import type { Inventory } from '../../../image-builder/sbom/inventory.ts';
import { type DiskContent, spdxDocument } from '../../../image-builder/sbom/spdx.ts';

const inventory: Inventory = {
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n',
  status: `Package: libstdc++6
Status: install ok installed
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Architecture: amd64
Source: gcc-14
Version: 14.2.0-19
Depends: libc6 (>= 2.38)

Package: libc6
Status: install ok installed
Maintainer: Ada Lovelace <ada@example.org>
Architecture: amd64
Source: glibc
Version: 2.41-12

Package: libc6
Status: install ok installed
Architecture: i386
Source: glibc
Version: 2.41-12
`,
  licences: new Map([['libc6', ['LGPL-2.1+', 'public-domain']]]),
  files: [
    { path: '/boot/initrd.img', sha256: '1'.repeat(64) },
    { path: '/etc/hosts', sha1: 'a'.repeat(40), sha256: 'b'.repeat(64) },
    { path: '/opt/tool', sha256: 'c'.repeat(64) },
  ],
  omitted: 0,
  wanted: new Map([['/opt/tool', 'c'.repeat(64)]]),
  images: [{ digest: `sha256:${'d'.repeat(64)}`, names: ['registry.k8s.io/pause:3.10'] }],
};
const content: DiskContent = {
  disk: { file: 'control-plane.qcow2', sha256: 'e'.repeat(64) },
  created: 1_700_000_000,
  inventory,
  archives: [
    {
      name: 'libc6',
      version: '2.41-12',
      architecture: 'amd64',
      url: 'https://deb.example.org/pool/libc6.deb',
      sha256: 'f'.repeat(64),
    },
  ],
  fetched: [{ url: 'https://example.org/tool', path: '/opt/tool' }],
  scripts: [{ label: 'user_scripts[0] (tune)', content: 'true\n' }],
};
const document = JSON.parse(spdxDocument(content));
const packageOf = (id: string) => document.packages.find(({ SPDXID }: { SPDXID: string }) => SPDXID === id);

test('the same content gives the same bytes, in whatever order it was found', () => {
  const stanzas = inventory.status.split('\n\n').reverse().join('\n\n');
  expect(spdxDocument({ ...content, inventory: { ...inventory, status: stanzas } })).toBe(
    spdxDocument(content),
  );
});

test('describes the disk, which contains the system, which contains the packages', () => {
  expect(document.creationInfo.created).toBe('2023-11-14T22:13:20Z');
  expect(packageOf('SPDXRef-Disk')).toMatchObject({
    name: 'control-plane.qcow2',
    checksums: [{ algorithm: 'SHA256', checksumValue: 'e'.repeat(64) }],
  });
  expect(packageOf('SPDXRef-OperatingSystem-debian')).toMatchObject({ name: 'debian', versionInfo: '13' });
  const related = document.relationships.map(
    (one: Record<string, string>) => `${one.spdxElementId} ${one.relationshipType} ${one.relatedSpdxElement}`,
  );
  expect(related).toEqual(
    expect.arrayContaining([
      'SPDXRef-DOCUMENT DESCRIBES SPDXRef-Disk',
      'SPDXRef-Disk CONTAINS SPDXRef-OperatingSystem-debian',
      'SPDXRef-OperatingSystem-debian CONTAINS SPDXRef-Package-libstdc.2B.2B6-amd64',
      'SPDXRef-OperatingSystem-debian CONTAINS SPDXRef-Package-libc6-i386',
      'SPDXRef-Package-libstdc.2B.2B6-amd64 DEPENDS_ON SPDXRef-Package-libc6-amd64',
      'SPDXRef-Disk CONTAINS SPDXRef-Download-1',
      'SPDXRef-Disk CONTAINS SPDXRef-Script-1',
      'SPDXRef-Disk CONTAINS SPDXRef-Image-1',
      'SPDXRef-Disk CONTAINS SPDXRef-LargeFile-1',
      'SPDXRef-Files CONTAINS SPDXRef-File-1',
    ]),
  );
});

test('a package has its source, its file with the place it came from, and its licences', () => {
  expect(packageOf('SPDXRef-Package-libc6-amd64')).toMatchObject({
    versionInfo: '2.41-12',
    supplier: 'Person: Ada Lovelace (ada@example.org)',
    sourceInfo: 'built package from: glibc 2.41-12',
    downloadLocation: 'https://deb.example.org/pool/libc6.deb',
    checksums: [{ algorithm: 'SHA256', checksumValue: 'f'.repeat(64) }],
    licenseDeclared: 'LGPL-2.1-or-later AND LicenseRef-Debian-public-domain',
  });
  expect(packageOf('SPDXRef-Package-libc6-i386')).toMatchObject({ downloadLocation: 'NOASSERTION' });
  expect(packageOf('SPDXRef-Package-libstdc.2B.2B6-amd64')).toMatchObject({
    supplier: 'Organization: Debian GCC Maintainers (debian-gcc@lists.debian.org)',
  });
});

test('what came in no package is there by its digest', () => {
  expect(packageOf('SPDXRef-Download-1')).toMatchObject({
    name: '/opt/tool',
    checksums: [{ checksumValue: 'c'.repeat(64) }],
    externalRefs: [
      {
        referenceLocator: `pkg:generic/tool?checksum=sha256:${'c'.repeat(64)}&download_url=https%3A%2F%2Fexample.org%2Ftool`,
      },
    ],
  });
  expect(packageOf('SPDXRef-Image-1')).toMatchObject({
    name: 'registry.k8s.io/pause:3.10',
    externalRefs: [{ referenceLocator: `pkg:oci/pause@sha256%3A${'d'.repeat(64)}` }],
  });
  expect(packageOf('SPDXRef-Files').filesAnalyzed).toBe(true);
  expect(document.files).toEqual([
    expect.objectContaining({ fileName: './etc/hosts', SPDXID: 'SPDXRef-File-1' }),
  ]);
});

test('a large file of no package is there by its SHA-256, once', () => {
  expect(packageOf('SPDXRef-LargeFile-1')).toMatchObject({
    name: '/boot/initrd.img',
    primaryPackagePurpose: 'FILE',
    checksums: [{ algorithm: 'SHA256', checksumValue: '1'.repeat(64) }],
  });
  // It was fetched, and is told as such.
  expect(packageOf('SPDXRef-LargeFile-2')).toBeUndefined();
});
