// Which vulnerabilities are found, in databases as they are published, on disks as they are built.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { askDatabase } from '../../../image-builder/scan/database.ts';
import { indexOf } from '../../../image-builder/scan/package-index.ts';
import { packagesOf } from '../../../image-builder/scan/packages.ts';
import { atLeast, reportOf } from '../../../image-builder/scan/scan.ts';
import { vexStatements } from '../../../image-builder/scan/vex.ts';
import { type Installed, osvRecord, sbomOf } from './documents.ts';
import { zipOf } from './zip-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'image-builder-scan-'));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;
function file(content: string | Buffer | object, name = 'database.json'): string {
  const path = join(directory, `${++count}`, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(
    path,
    typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
  );
  return path;
}

const diskOf = (packages: readonly Installed[]) => {
  const disk = packagesOf(sbomOf(packages), 'node.qcow2');
  return { ...disk, system: { ...disk.system, codename: 'trixie' } };
};

async function scan(packages: readonly Installed[], databases: string[], vex: object[] = []) {
  const disk = diskOf(packages);
  const answers = [];
  for (const path of databases)
    answers.push({ ...(await askDatabase(path, indexOf([disk], disk.system))), name: path });
  return reportOf({
    image: 'registry.example.org/bundle@sha256:aa',
    digest: `sha256:${'a'.repeat(64)}`,
    disks: [disk],
    answers,
    statements: vex.flatMap((one) => vexStatements(Buffer.from(JSON.stringify(one)), 'vex.json')),
  });
}

const found = async (packages: readonly Installed[], database: object) => {
  const { vulnerabilities } = await scan(packages, [file(database)]);
  return vulnerabilities.map(({ id, state, fixed }) => `${id} ${state}${fixed ? ` ${fixed}` : ''}`);
};

describe('installed packages', () => {
  test('stand under their source, at its version; kernels under linux', () => {
    const { packages, system, sha256 } = diskOf([
      { name: 'login', version: '1:4.16.0-2', source: 'util-linux (2.41-5)' },
      { name: 'mount', version: '2.41-5', source: 'util-linux' },
      { name: 'bash', version: '5.2.37-2+b5', source: 'bash (5.2.37-2)' },
      {
        name: 'linux-image-6.12.48+deb13-amd64',
        version: '6.12.48-1',
        source: 'linux-signed-amd64 (6.12.48+1)',
      },
    ]);
    expect(system).toEqual({ id: 'debian', version: '13', codename: 'trixie' });
    expect(sha256).toBe('d'.repeat(64));
    expect(packages.map(({ name, version, binaries }) => [name, version, binaries.length])).toEqual([
      ['bash', '5.2.37-2', 1],
      ['linux', '6.12.48-1', 1],
      ['util-linux', '2.41-5', 2],
    ]);
  });

  test('of other tools are known by their package URL', () => {
    const url = 'pkg:deb/debian/login@1%3A4.16.0-2?arch=amd64&distro=debian-13&upstream=util-linux%402.41-5';
    const packages = [{ name: 'login', externalRefs: [{ referenceType: 'purl', referenceLocator: url }] }];
    const document = { spdxVersion: 'SPDX-2.3', packages };
    const { system, packages: known } = packagesOf(Buffer.from(JSON.stringify(document)), 'a');
    expect(system).toEqual({ id: 'debian', version: '13' });
    expect(known).toMatchObject([{ name: 'util-linux', version: '2.41-5' }]);
  });

  test.each([
    ['no packages', { packages: [] }, 'SCAN_SBOM_UNUSABLE'],
    ['a list that is none', { packages: 7 }, 'SCAN_INPUT_INVALID'],
  ])('%s', (_, document, code) => {
    expect(() => packagesOf(Buffer.from(JSON.stringify(document)), 'a')).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe('OSV', () => {
  const openssl = [{ name: 'libssl3t64', version: '3.5.1-1', source: 'openssl' }];

  test.each<[string, string, object[], string[]]>([
    ['older than the fix', '3.5.1-1', [{ introduced: '0' }, { fixed: '3.5.2-1' }], ['X-1 fixable 3.5.2-1']],
    ['the fix itself', '3.5.2-1', [{ introduced: '0' }, { fixed: '3.5.2-1' }], []],
    ['a binNMU of the fix', '3.5.2-1+b1', [{ introduced: '0' }, { fixed: '3.5.2-1' }], []],
    [
      'a candidate of the fix',
      '3.5.2~rc1-1',
      [{ introduced: '0' }, { fixed: '3.5.2-1' }],
      ['X-1 fixable 3.5.2-1'],
    ],
    [
      'a security update',
      '3.5.1-1+deb13u1',
      [{ introduced: '0' }, { fixed: '3.5.1-1+deb13u2' }],
      ['X-1 fixable 3.5.1-1+deb13u2'],
    ],
    ['a higher epoch', '1:1.0-1', [{ introduced: '0' }, { fixed: '3.5.2-1' }], []],
    ['no fix', '3.5.1-1', [{ introduced: '0' }], ['X-1 unfixed']],
    ['before it came', '3.5.1-1', [{ introduced: '3.6.0-1' }], []],
    ['the version in which it came', '3.6.0-1', [{ introduced: '3.6.0-1' }], ['X-1 unfixed']],
    ['the last with it', '3.5.1-1', [{ introduced: '0' }, { last_affected: '3.5.1-1' }], ['X-1 unfixed']],
    ['after the last with it', '3.5.1-2', [{ introduced: '0' }, { last_affected: '3.5.1-1' }], []],
    [
      'between two times',
      '3.5.1-1',
      [{ introduced: '0' }, { fixed: '3.4-1' }, { introduced: '3.6-1' }, { fixed: '3.7-1' }],
      [],
    ],
    [
      'the second time, events in any order',
      '3.6-2',
      [{ fixed: '3.7-1' }, { introduced: '3.6-1' }, { fixed: '3.4-1' }, { introduced: '0' }],
      ['X-1 fixable 3.7-1'],
    ],
    [
      'the first time',
      '3.1-1',
      [{ introduced: '0' }, { fixed: '3.4-1' }, { introduced: '3.6-1' }, { fixed: '3.7-1' }],
      ['X-1 fixable 3.4-1'],
    ],
    ['beyond a limit', '3.5.1-1', [{ introduced: '0' }, { limit: '3.5-1' }], []],
    ['below a limit', '3.4-1', [{ introduced: '0' }, { limit: '3.5-1' }], ['X-1 unfixed']],
  ])('%s', async (_, version, events, expected) => {
    const packages = [{ name: 'openssl', version }];
    expect(await found(packages, [osvRecord('X-1', 'openssl', events)])).toEqual(expected);
  });

  test('a list of versions, for what no range tells', async () => {
    const listed = (versions: string[]) =>
      found(openssl, [osvRecord('X-1', 'openssl', [], { affected: { ranges: [], versions } })]);
    expect(await listed(['3.5.0-1', '3.5.1-1'])).toEqual(['X-1 unfixed']);
    expect(await listed(['3.5.0-1'])).toEqual([]);
  });

  test('other releases, withdrawn records, commits and paid updates say nothing', async () => {
    const events = [{ introduced: '0' }];
    const own = osvRecord('X-1', 'openssl', events);
    const others = [
      osvRecord('X-2', 'openssl', events, { ecosystem: 'Debian:12' }),
      osvRecord('X-3', 'openssl', events, { withdrawn: '2026-01-01T00:00:00Z' }),
      osvRecord('X-4', 'openssl', events, { ecosystem: 'npm' }),
      osvRecord('X-5', 'libssl3t64', events),
      osvRecord('X-6', 'openssl', events, { affected: { ranges: [{ type: 'GIT', repo: 'x', events }] } }),
      osvRecord('X-7', 'openssl', events, { ecosystem: 'Ubuntu:Pro:24.04:LTS' }),
    ];
    expect(await found(openssl, [own, ...others])).toEqual(['X-1 unfixed']);
  });

  test('severity is what Debian says, then what CVSS and the database say', async () => {
    const events = [{ introduced: '0' }];
    const v3 = (score: string) => ({ severity: [{ type: 'CVSS_V3', score }] });
    const urgency = (text: string) => ({ affected: { ecosystem_specific: { urgency: text } } });
    const { vulnerabilities } = await scan(openssl, [
      file([
        osvRecord('A', 'openssl', events, v3('CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H')),
        osvRecord('B', 'openssl', events, v3('CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N')),
        osvRecord('C', 'openssl', events, {
          ...v3('CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H'),
          ...urgency('unimportant'),
        }),
        osvRecord('D', 'openssl', events, { database_specific: { severity: 'MODERATE' } }),
        osvRecord('E', 'openssl', events, { severity: [{ type: 'CVSS_V4', score: 'CVSS:4.0/AV:N' }] }),
        osvRecord('I', 'openssl', events, {
          severity: [
            { type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N' },
            {
              type: 'CVSS_V4',
              score: 'CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N',
            },
          ],
        }),
        osvRecord('F', 'openssl', events, urgency('end-of-life')),
        osvRecord('G', 'openssl', events, { severity: [{ type: 'Ubuntu', score: 'high' }] }),
        osvRecord('H', 'openssl', events, urgency('low**')),
      ]),
    ]);
    expect(vulnerabilities.map(({ id, severity, score, state }) => [id, severity, score, state])).toEqual([
      ['A', 'critical', 9.8, 'unfixed'],
      ['I', 'critical', 9.2, 'unfixed'],
      ['G', 'high', undefined, 'unfixed'],
      ['B', 'medium', 6.1, 'unfixed'],
      ['D', 'medium', undefined, 'unfixed'],
      ['H', 'low', undefined, 'unfixed'],
      ['C', 'negligible', 9.8, 'unfixed'],
      ['E', 'unknown', undefined, 'unfixed'],
      ['F', 'unknown', undefined, 'end-of-life'],
    ]);
    expect(atLeast({ vulnerabilities }, 'high').map(({ id }) => id)).toEqual(['A', 'I', 'G']);
  });

  test('an advisory about several is told by those', async () => {
    const events = [{ introduced: '0' }, { fixed: '3.5.2-1' }];
    const records = [
      osvRecord('DEBIAN-CVE-2026-1', 'openssl', events, { upstream: ['CVE-2026-1'] }),
      osvRecord('DEBIAN-CVE-2026-2', 'openssl', events, { upstream: ['CVE-2026-2'] }),
      osvRecord('DSA-1-1', 'openssl', events, { upstream: ['CVE-2026-1', 'CVE-2026-2'] }),
      osvRecord('DSA-2-1', 'openssl', events, { upstream: ['CVE-2026-1', 'CVE-2026-3'] }),
    ];
    expect(await found(openssl, records)).toEqual([
      'CVE-2026-1 fixable 3.5.2-1',
      'CVE-2026-2 fixable 3.5.2-1',
      'DSA-2-1 fixable 3.5.2-1',
    ]);
  });
});

describe('Debian’s tracker', () => {
  const data = (release: object, codename = 'trixie') => ({
    openssl: {
      'CVE-2026-1': {
        description: 'A fault.\nMore.',
        scope: 'remote',
        releases: { [codename]: release, sid: { status: 'open' } },
      },
    },
  });
  const packages = [{ name: 'libssl3t64', version: '3.5.1-1', source: 'openssl' }];

  test.each<[string, object, string[]]>([
    ['open', { status: 'open', urgency: 'high' }, ['CVE-2026-1 unfixed']],
    [
      'resolved later',
      { status: 'resolved', fixed_version: '3.5.1-1+deb13u1', urgency: 'not yet assigned' },
      ['CVE-2026-1 fixable 3.5.1-1+deb13u1'],
    ],
    ['resolved', { status: 'resolved', fixed_version: '3.5.1-1', urgency: 'low' }, []],
    ['never there', { status: 'resolved', fixed_version: '0', urgency: 'unimportant' }, []],
    ['nobody knows', { status: 'undetermined', urgency: 'not yet assigned' }, ['CVE-2026-1 undetermined']],
    ['nobody will fix it', { status: 'open', urgency: 'end-of-life' }, ['CVE-2026-1 end-of-life']],
  ])('%s', async (_, release, expected) => {
    expect(await found(packages, data(release))).toEqual(expected);
  });

  test('says the first line, and is heard beside OSV', async () => {
    const tracker = file(data({ status: 'resolved', fixed_version: '3.5.2-1', urgency: 'medium' }));
    const osv = file(osvRecord('DEBIAN-CVE-2026-1', 'openssl', [{ introduced: '0' }]));
    const { vulnerabilities } = await scan(packages, [osv, tracker]);
    expect(vulnerabilities).toMatchObject([
      {
        id: 'CVE-2026-1',
        summary: 'A fault.',
        severity: 'medium',
        state: 'fixable',
        fixed: '3.5.2-1',
        packages: ['libssl3t64'],
      },
    ]);
  });
});

describe('a database', () => {
  const record = osvRecord('X-1', 'bash', [{ introduced: '0' }]);
  const packages = [{ name: 'bash', version: '5.2-1' }];

  test('is a file, compressed or not, an archive, or a directory', async () => {
    const text = JSON.stringify(record);
    const other = JSON.stringify(osvRecord('X-2', 'bash', [{ introduced: '0' }]));
    const inDirectory = dirname(file(text, 'Debian/X-1.json'));
    writeFileSync(join(inDirectory, 'README'), 'no record');
    for (const database of [
      file(text),
      file(gzipSync(text)),
      file(zipOf({ 'X-1.json': text, 'notes.txt': 'none' })),
      inDirectory,
    ])
      expect((await scan(packages, [database])).vulnerabilities.map(({ id }) => id)).toEqual(['X-1']);
    expect(
      (await scan(packages, [file(zipOf({ 'a.json': text, 'b.json': other }))])).databases,
    ).toMatchObject([{ records: 2 }]);
  });

  const zip = zipOf({ 'X-1.json': JSON.stringify(record) });
  const changed = (at: number, bytes: number[]) => {
    const copy = Buffer.from(zip);
    Buffer.from(bytes).copy(copy, at < 0 ? copy.length + at : at);
    return copy;
  };
  const directoryAt = zip.indexOf('PK\x01\x02', 0, 'latin1');
  test.each<[string, string | Buffer | object, string]>([
    [
      'of another release',
      osvRecord('X-1', 'bash', [{ introduced: '0' }], { ecosystem: 'Debian:12' }),
      'SCAN_DATABASE_FOREIGN',
    ],
    ['of nothing', [], 'SCAN_DATABASE_FOREIGN'],
    ['that is no JSON', '{"id": ', 'SCAN_INPUT_INVALID'],
    ['that is empty', '', 'SCAN_INPUT_INVALID'],
    ['that is a number', '7', 'SCAN_INPUT_INVALID'],
    ['that is no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'SCAN_INPUT_INVALID'],
    ['of another kind', { some: 'thing' }, 'SCAN_INPUT_INVALID'],
    ['that is deep', `${'['.repeat(200_000)}${']'.repeat(200_000)}`, 'SCAN_INPUT_INVALID'],
    ['with affected of another type', { ...record, affected: 'all' }, 'SCAN_INPUT_INVALID'],
    ['with events of another type', osvRecord('X-1', 'bash', [{ introduced: 0 }]), 'SCAN_INPUT_INVALID'],
    [
      'with two events in one',
      osvRecord('X-1', 'bash', [{ introduced: '0', fixed: '1' }]),
      'SCAN_INPUT_INVALID',
    ],
    [
      'with a version of a megabyte',
      osvRecord('X-1', 'bash', [{ introduced: '1'.repeat(1 << 20) }]),
      'SCAN_INPUT_INVALID',
    ],
    [
      'with a state that is none',
      { bash: { 'CVE-1': { releases: { trixie: { status: 'perhaps' } } } } },
      'SCAN_INPUT_INVALID',
    ],
    [
      'resolved by nothing',
      { bash: { 'CVE-1': { releases: { trixie: { status: 'resolved' } } } } },
      'SCAN_INPUT_INVALID',
    ],
    ['with packages of another type', { bash: { 'CVE-1': { releases: {} } }, zsh: 7 }, 'SCAN_INPUT_INVALID'],
    ['cut off by gzip', gzipSync(JSON.stringify(record)).subarray(0, -9), 'SCAN_INPUT_INVALID'],
    ['in an archive that is cut off', zip.subarray(0, -30), 'SCAN_INPUT_INVALID'],
    ['in an archive with a directory elsewhere', changed(-6, [1, 0, 0, 0]), 'SCAN_INPUT_INVALID'],
    [
      'in an archive that claims to be large',
      changed(directoryAt + 24, [0, 0, 0, 0x70]),
      'SCAN_INPUT_TOO_LARGE',
    ],
    [
      'in an archive that grows beyond its size',
      changed(directoryAt + 24, [1, 0, 0, 0]),
      'SCAN_INPUT_INVALID',
    ],
    ['in an archive with an encrypted file', changed(directoryAt + 8, [1, 0]), 'SCAN_INPUT_INVALID'],
  ])('%s is an error', async (_, content, code) => {
    await expect(scan(packages, [file(content)])).rejects.toMatchObject({ code });
  });

  test('that is not there is an error of the caller', async () => {
    await expect(scan(packages, [join(directory, 'absent')])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
    });
  });

  test('is looked up, not searched', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) =>
      osvRecord(`X-${index}`, `package-${index}`, [{ introduced: '0' }]),
    );
    const installed = Array.from({ length: 2000 }, (_, index) => ({
      name: `package-${index}`,
      version: '1',
    }));
    const began = process.cpuUsage();
    expect((await scan(installed, [file(many)])).vulnerabilities).toHaveLength(2000);
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(5000);
  });
});
