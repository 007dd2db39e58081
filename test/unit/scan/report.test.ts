// The report of a scan in its formats.
import { renderMarkdown } from '../../../image-builder/scan/markdown.ts';
import { sarifOf } from '../../../image-builder/scan/sarif.ts';
import { renderText } from '../../../image-builder/scan/text.ts';
import type { ScanReport, Vulnerability } from '../../../image-builder/scan/vulnerability.ts';

const vulnerability = (id: string, more: Partial<Vulnerability> = {}): Vulnerability => ({
  id,
  aliases: [],
  source: 'openssl',
  state: 'unfixed',
  severity: 'high',
  summary: 'A fault',
  installed: '3.5.1-1',
  packages: ['libssl3t64'],
  disks: ['a.qcow2', 'b.qcow2'],
  ...more,
});

const report: ScanReport = {
  image: 'registry.example.org/bundle@sha256:aa',
  disks: ['a.qcow2', 'b.qcow2'].map((file) => ({ file, system: 'debian 13', packages: 400 })),
  databases: [{ name: 'all.zip', records: 7 }],
  vulnerabilities: [
    vulnerability('CVE-2026-1', { severity: 'critical', score: 9.8, state: 'fixable', fixed: '3.5.2-1' }),
    vulnerability('CVE-2026-2', { summary: '| <b>@all</b> [x](http://evil)\u202e' }),
    vulnerability('CVE-2026-3', { severity: 'unknown', state: 'end-of-life' }),
  ],
  suppressed: [
    { vulnerability: vulnerability('CVE-2026-4'), status: 'not_affected', reason: 'component_not_present' },
  ],
};

test('for people: the most urgent first, with what to do', () => {
  expect(renderText(report)).toBe(`registry.example.org/bundle@sha256:aa
  a.qcow2: debian 13, 400 packages
  b.qcow2: debian 13, 400 packages
  database all.zip: 7 records about it

Vulnerabilities: 1 critical, 1 high, 1 unknown
  critical   CVE-2026-1 openssl 3.5.1-1, fixed in 3.5.2-1: A fault
  high       CVE-2026-2 openssl 3.5.1-1, not fixed yet: | <b>@all</b> [x](http://evil)\u202e
  unknown    CVE-2026-3 openssl 3.5.1-1, end of life, will not be fixed: A fault

Not affected (1)
  CVE-2026-4 openssl: not affected, component_not_present
`);
  expect(renderText({ ...report, vulnerabilities: [], suppressed: [] })).toContain('No known vulnerability.');
});

test('for a pull request: no text of a database becomes structure', () => {
  const text = renderMarkdown(report);
  expect(text).toContain('**1 critical, 1 high, 1 unknown**');
  expect(text).toContain(
    '| critical | <code>CVE-2026-1</code> | <code>openssl</code> | <code>3.5.1-1</code> | fixed in 3.5.2-1 | A fault |',
  );
  expect(text).toContain('&#124; &#60;b&#62;&#64;all');
  expect(text).not.toMatch(/<b>@|\[x\]/);
});

test('SARIF: a rule for each vulnerability, a result with its places, and what is suppressed', () => {
  const { version, runs } = JSON.parse(JSON.stringify(sarifOf(report, '1.2.3')));
  expect(version).toBe('2.1.0');
  const [{ tool, results }] = runs;
  expect(tool.driver).toMatchObject({ name: 'image-builder', semanticVersion: '1.2.3' });
  expect(tool.driver.rules.map(({ id }: { id: string }) => id)).toEqual([
    ...['CVE-2026-1', 'CVE-2026-2', 'CVE-2026-3', 'CVE-2026-4'],
  ]);
  expect(tool.driver.rules[0].properties['security-severity']).toBe('9.8');
  expect(
    results.map(({ level, ruleIndex }: { level: string; ruleIndex: number }) => [level, ruleIndex]),
  ).toEqual([
    ...[
      ['error', 0],
      ['error', 1],
      ['note', 2],
      ['error', 3],
    ],
  ]);
  expect(results[0].locations).toMatchObject([
    {
      physicalLocation: { artifactLocation: { uri: 'a.qcow2' } },
      logicalLocations: [{ fullyQualifiedName: 'libssl3t64' }],
    },
    { physicalLocation: { artifactLocation: { uri: 'b.qcow2' } } },
  ]);
  expect(results[3].suppressions).toEqual([
    { kind: 'external', status: 'accepted', justification: 'component_not_present' },
  ]);
  // The same alert after an update of the package.
  const later = { ...report, vulnerabilities: [vulnerability('CVE-2026-1', { installed: '3.5.1-2' })] };
  const [first] = JSON.parse(JSON.stringify(sarifOf(later, '1'))).runs[0].results;
  expect(first.partialFingerprints).toEqual(results[0].partialFingerprints);
});
