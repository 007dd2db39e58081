import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAptSources } from '../../../../image-builder/spec/variables/apt-sources.ts';
import { chooseMirrors, readAptSources } from '../../../../image-builder/spec/variables/mirror.ts';

const oneLine = (text: string) => parseAptSources('sources.list', text);
const deb822 = (text: string) => parseAptSources('debian.sources', text);

describe('parseAptSources', () => {
  test('one line per entry: options, comments, sources and nonsense', () => {
    const sources = oneLine(
      [
        '# deb http://old.test/debian trixie main',
        'deb http://a.test/debian/ trixie main contrib # why',
        'deb [arch=amd64,arm64 signed-by=/k.gpg] https://b.test/debian trixie-updates main',
        'deb-src http://c.test/debian trixie main',
        'deb http://d.test/flat ./',
        'deb',
        'nonsense http://e.test x y',
      ].join('\n'),
    );
    expect(sources).toEqual([
      { uri: 'http://a.test/debian', suite: 'trixie', components: ['main', 'contrib'], architectures: [] },
      {
        uri: 'https://b.test/debian',
        suite: 'trixie-updates',
        components: ['main'],
        architectures: ['amd64', 'arm64'],
      },
      { uri: 'http://d.test/flat', suite: './', components: [], architectures: [] },
    ]);
  });

  test('deb822: stanzas, comments, continuation lines, several values, keys in the file, what is disabled', () => {
    const sources = deb822(
      [
        '# a comment',
        'Types: deb deb-src',
        'URIs: http://a.test/debian/',
        '# in between',
        'Suites: trixie trixie-updates',
        'Components: main',
        ' contrib',
        'Signed-By:',
        ' -----BEGIN PGP PUBLIC KEY BLOCK-----',
        ' .',
        ' Suites: not-a-field',
        '',
        'types: deb',
        'uris: http://b.test/debian',
        'suites: trixie',
        'components: main',
        'enabled: no',
        '',
        'Types: deb-src',
        'URIs: http://c.test/debian',
        'Suites: trixie',
        '',
        'Types: deb',
        'Suites: without-uri',
      ].join('\n'),
    );
    expect(sources).toEqual([
      { uri: 'http://a.test/debian', suite: 'trixie', components: ['main', 'contrib'], architectures: [] },
      {
        uri: 'http://a.test/debian',
        suite: 'trixie-updates',
        components: ['main', 'contrib'],
        architectures: [],
      },
    ]);
  });
});

describe('chooseMirrors', () => {
  const choose = (text: string, family: 'debian' | 'ubuntu' = 'debian', architecture = 'amd64') =>
    chooseMirrors(oneLine(text), family, architecture);

  test('the archive and the security updates, whatever the release', () => {
    const text = [
      'deb http://mirror.test/debian-security bookworm-security main',
      'deb http://mirror.test/debian bookworm main',
    ].join('\n');
    expect(choose(text)).toEqual({
      archive: 'http://mirror.test/debian',
      security: 'http://mirror.test/debian-security',
    });
    expect(choose(text, 'ubuntu')).toEqual({});
  });

  test('a snapshot is a mirror', () => {
    expect(choose('deb http://s.test/archive/debian/20250520T000000Z bookworm main').archive).toMatch(
      /000000Z$/,
    );
  });

  test.each([
    'deb https://download.docker.com/linux/debian bookworm stable',
    'deb https://packages.microsoft.com/debian/12/prod bookworm main',
    'deb https://deb.nodesource.com/node_20.x nodistro main',
    'deb [arch=arm64] http://mirror.test/debian bookworm main',
    'deb file:/srv/debian bookworm main',
    'deb cdrom:[Debian]/debian bookworm main',
  ])('not a mirror that can be used: %s', (line) => {
    expect(choose(line)).toEqual({});
  });

  test('Ubuntu: archive and ports', () => {
    expect(choose('deb http://a.test/ubuntu noble main', 'ubuntu')).toEqual({
      archive: 'http://a.test/ubuntu',
    });
    expect(choose('deb http://a.test/ubuntu-ports noble main', 'ubuntu', 'arm64')).toEqual({
      archive: 'http://a.test/ubuntu-ports',
    });
  });
});

describe('readAptSources', () => {
  const directory = mkdtempSync(join(tmpdir(), 'apt-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  test('all files that apt reads, only those, with lists of mirrors followed', async () => {
    mkdirSync(join(directory, 'sources.list.d'));
    const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
    write('mirrors', '# best first\nhttps://near.test/debian/\thttps://far.test/debian\n');
    write('sources.list', 'deb http://one.test/debian trixie main\n');
    write('sources.list.d/b.list', 'deb http://two.test/debian trixie main\n');
    write(
      'sources.list.d/a.sources',
      `Types: deb\nURIs: mirror+file://${directory}/mirrors\nSuites: trixie\nComponents: main\n`,
    );
    write('sources.list.d/c.list.save', 'deb http://three.test/debian trixie main\n');
    const sources = await readAptSources(directory);
    expect(sources.map(({ uri }) => uri)).toEqual([
      'http://one.test/debian',
      'https://near.test/debian',
      'http://two.test/debian',
    ]);
    expect(await readAptSources(join(directory, 'nowhere'))).toEqual([]);
  });
});
