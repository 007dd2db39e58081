// The report of a scan as SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), which code hosts show as alerts.
import { createHash } from 'node:crypto';
import { remedy } from './text.ts';
import type { ScanReport, Severity, Suppressed, Vulnerability } from './vulnerability.ts';

/** @param version of this program */
export function sarifOf({ image, vulnerabilities, suppressed }: ScanReport, version: string): object {
  const all = [
    ...vulnerabilities.map((vulnerability) => ({ vulnerability })),
    ...suppressed,
  ] as (Partial<Suppressed> & Pick<Suppressed, 'vulnerability'>)[];
  const rules = [...new Map(all.map(({ vulnerability }) => [vulnerability.id, vulnerability])).values()];
  const positions = new Map(rules.map(({ id }, index) => [id, index]));
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'image-builder',
            semanticVersion: version,
            informationUri: 'https://airshipit.org/image-builder',
            rules: rules.map(ruleOf),
          },
        },
        properties: { image },
        columnKind: 'utf16CodeUnits',
        results: all.map(({ vulnerability, ...told }) => ({
          ruleId: vulnerability.id,
          ruleIndex: positions.get(vulnerability.id),
          level: levelOf(vulnerability.severity),
          message: { text: messageOf(vulnerability) },
          locations: vulnerability.disks.map((disk) => ({
            // Disks are no lines of text; hosts show nothing without a line.
            physicalLocation: {
              artifactLocation: { uri: encodeURIComponent(disk) },
              region: { startLine: 1 },
            },
            logicalLocations: vulnerability.packages.map((name) => ({
              fullyQualifiedName: name,
              kind: 'package',
            })),
          })),
          partialFingerprints: { 'vulnerability/v1': fingerprint(vulnerability) },
          ...(told.status && {
            suppressions: [{ kind: 'external', status: 'accepted', justification: told.reason }],
          }),
        })),
      },
    ],
  };
}

function ruleOf({ id, aliases, summary, score, severity }: Vulnerability) {
  const text = summary || id;
  return {
    id,
    shortDescription: { text: text.slice(0, 200) },
    ...(id.startsWith('CVE-') && {
      helpUri: `https://security-tracker.debian.org/tracker/${encodeURIComponent(id)}`,
    }),
    defaultConfiguration: { level: levelOf(severity) },
    properties: {
      tags: ['security', 'vulnerability'],
      // What GitHub sorts by.
      'security-severity': (score ?? USUAL_SCORES[severity]).toFixed(1),
      ...(aliases.length > 0 && { aliases }),
    },
  };
}

/** In the middle of the range that CVSS gives the word. */
const USUAL_SCORES: Record<Severity, number> = {
  critical: 9.5,
  high: 8,
  medium: 5.5,
  low: 2,
  negligible: 0.1,
  unknown: 0,
};

function levelOf(severity: Severity): 'error' | 'warning' | 'note' {
  if (severity === 'critical' || severity === 'high') return 'error';
  return severity === 'medium' ? 'warning' : 'note';
}

function messageOf(one: Vulnerability): string {
  const about = one.summary === '' ? '' : ` ${one.summary}`;
  return `${one.source} ${one.installed} has ${one.id} (${one.severity}), ${remedy(one)}.${about}`;
}

/** The same alert when the version changes. */
const fingerprint = ({ id, source }: Vulnerability): string =>
  createHash('sha256').update(`${id} ${source}`).digest('hex');
