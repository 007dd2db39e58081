// What differs in what is said of two bundles, in their bills of materials, and in what a database says of them.
import { compareBundles } from '../../../image-builder/compare/compare.ts';
import type { Subject } from '../../../image-builder/compare/comparison.ts';
import { renderMarkdown } from '../../../image-builder/compare/markdown.ts';
import { materialsOf } from '../../../image-builder/compare/materials.ts';
import { renderText } from '../../../image-builder/compare/text.ts';
import type { Vulnerability } from '../../../image-builder/scan/vulnerability.ts';

const subject = (name: string, more: Partial<Subject>): Subject => ({
  name,
  image: `registry.example.org/bundle@sha256:${name}`,
  digest: `sha256:${name}`,
  profiles: {},
  packages: {},
  artifacts: { qcows: {} },
  cost: { requests: 0, bytes: 0 },
  ...more,
});

const document = (licence: string, sha256: string, pause: string) => ({
  disk: 'node.qcow2',
  content: Buffer.from(
    JSON.stringify({
      packages: [
        { SPDXID: 'SPDXRef-Package-bash-amd64', name: 'bash', licenseDeclared: licence },
        {
          SPDXID: 'SPDXRef-Download-1',
          name: '/opt/tool',
          checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }],
        },
        {
          SPDXID: 'SPDXRef-LargeFile-1',
          name: '/boot/initrd.img',
          checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }],
        },
        { SPDXID: 'SPDXRef-Image-1', name: 'registry.k8s.io/etcd:3.7.0-0', versionInfo: 'sha256:1' },
        { SPDXID: 'SPDXRef-Image-2', name: `registry.k8s.io/pause:${pause}`, versionInfo: `sha256:${pause}` },
        // By digest alone, as when it was named by one.
        { SPDXID: 'SPDXRef-Image-3', name: 'registry.example.org/agent', versionInfo: `sha256:${sha256}` },
        7,
      ],
      files: [{ fileName: './etc/motd', checksums: [{ algorithm: 'SHA256', checksumValue: 'c' }] }],
    }),
  ),
});
const vulnerability = (id: string, installed: string): Vulnerability => ({
  id,
  aliases: [],
  source: 'openssl',
  state: 'unfixed',
  severity: 'high',
  summary: '',
  installed,
  packages: [],
  disks: [],
});

const comparison = compareBundles(
  subject('a', {
    evidence: {
      statements: [
        { kind: 'signature', key: 'a'.repeat(64) },
        { kind: 'sbom', key: 'a'.repeat(64) },
      ],
      boots: { 'node/bios': { tests: [] }, 'node/uefi': { seconds: 12.4, accelerator: 'kvm', tests: [] } },
    },
    materials: materialsOf([document('GPL-3.0-or-later', 'a', '3.10.1')]),
    vulnerabilities: [vulnerability('CVE-1', '3.5.1-1'), vulnerability('CVE-2', '3.5.1-1')],
  }),
  subject('b', {
    evidence: {
      statements: [
        { kind: 'signature', key: 'b'.repeat(64) },
        { kind: 'sbom', key: 'a'.repeat(64) },
        { kind: '<b>@all', key: 'b'.repeat(64) },
      ],
      boots: {
        'node/uefi': { seconds: 20.9, accelerator: 'kvm', readySeconds: 47.6, tests: ['ntp runs'] },
      },
    },
    materials: materialsOf([document('GPL-3.0-only', 'b', '3.10.2')]),
    vulnerabilities: [vulnerability('CVE-2', '3.5.1-2'), vulnerability('CVE-3', '3.5.1-2')],
  }),
);

test('as data', () => {
  expect(comparison.evidence?.statements).toEqual([
    { kind: 'signature', key: 'a'.repeat(64), change: 'removed' },
    { kind: 'signature', key: 'b'.repeat(64), change: 'added' },
    { kind: '<b>@all', key: 'b'.repeat(64), change: 'added' },
  ]);
  expect(comparison.materials).toEqual([
    { kind: 'container image', name: 'registry.example.org/agent', before: 'sha256:a', after: 'sha256:b' },
    { kind: 'container image', name: 'registry.k8s.io/pause:3.10.1', before: 'sha256:3.10.1' },
    { kind: 'container image', name: 'registry.k8s.io/pause:3.10.2', after: 'sha256:3.10.2' },
    { kind: 'download', name: '/opt/tool', before: 'sha256:a', after: 'sha256:b' },
    { kind: 'file', name: './boot/initrd.img', before: 'sha256:a', after: 'sha256:b' },
    { kind: 'licence', name: 'bash', before: 'GPL-3.0-or-later', after: 'GPL-3.0-only' },
  ]);
  expect(comparison.vulnerabilities).toMatchObject([
    { id: 'CVE-3', change: 'added', installed: '3.5.1-2' },
    { id: 'CVE-1', change: 'removed', installed: '3.5.1-1' },
  ]);
});

test('as text', () => {
  expect(renderText(comparison)).toBe(`a: registry.example.org/bundle@sha256:a
b: registry.example.org/bundle@sha256:b

Vulnerabilities: 1 added, 1 removed
  CVE-3  added  high  openssl  3.5.1-2
  CVE-1  removed  high  openssl  3.5.1-1

Licences, files and container images (6)
  container image  registry.example.org/agent  sha256:a  sha256:b
  container image  registry.k8s.io/pause:3.10.1  sha256:3.10.1  none
  container image  registry.k8s.io/pause:3.10.2  none  sha256:3.10.2
  download  /opt/tool  sha256:a  sha256:b
  file  ./boot/initrd.img  sha256:a  sha256:b
  licence  bash  GPL-3.0-or-later  GPL-3.0-only

Statements: 2 added, 1 removed
  signature  removed  aaaaaaaaaaaaaaaa
  signature  added  bbbbbbbbbbbbbbbb
  <b>@all  added  bbbbbbbbbbbbbbbb

Boot tests (2)
  node/bios  booted  not tested
  node/uefi  booted in 12 s (kvm)  booted in 21 s (kvm), Ready after 48 s, 1 test
`);
});

test('as Markdown, in which no text becomes structure', () => {
  const text = renderMarkdown(comparison);
  expect(text).toContain('**Vulnerabilities: 1 added, 1 removed**');
  expect(text).toContain(
    '| <code>node/uefi</code> | <code>booted in 12 s (kvm)</code> | <code>booted in 21 s (kvm), Ready after 48 s, 1 test</code> |',
  );
  expect(text).not.toContain('<b>@all');
});

test('what only one of them tells is said to be unknown', () => {
  const evidence = { statements: [], boots: {} };
  expect(compareBundles(subject('a', { evidence }), subject('b', {})).unknown).toEqual([
    'who has signed b cannot be asked for',
  ]);
});
