// The report of a scan for people at a terminal, and the words that all formats share.
import { type ScanReport, SEVERITIES, type Vulnerability } from './vulnerability.ts';

/** Lines of text; strangers have written some of it. */
export function renderText(report: ScanReport): string {
  const { image, disks, vulnerabilities, suppressed } = report;
  const lines = [
    image,
    ...disks.map(({ file, system, packages }) => `  ${file}: ${system}, ${packages} packages`),
    ...report.databases.map(({ name, records }) => `  database ${name}: ${records} records about it`),
    '',
    vulnerabilities.length === 0 ? 'No known vulnerability.' : `Vulnerabilities: ${counts(vulnerabilities)}`,
    ...vulnerabilities.map((one) => `  ${lineOf(one)}`),
  ];
  if (suppressed.length > 0) lines.push('', `Not affected (${suppressed.length})`);
  for (const { vulnerability, status, reason } of suppressed)
    lines.push(
      `  ${vulnerability.id} ${vulnerability.source}: ${status.replace('_', ' ')}, ${oneLine(reason)}`,
    );
  return `${lines.join('\n')}\n`;
}

function lineOf(one: Vulnerability): string {
  const { severity, id, source, installed, summary } = one;
  const about = summary === '' ? '' : `: ${oneLine(summary)}`;
  return `${severity.padEnd(10)} ${id} ${source} ${installed}, ${remedy(one)}${about}`;
}

/** `2 critical, 1 high`, the most urgent first. */
export function counts(vulnerabilities: readonly Pick<Vulnerability, 'severity'>[]): string {
  return [...SEVERITIES]
    .reverse()
    .flatMap((severity) => {
      const count = vulnerabilities.filter((one) => one.severity === severity).length;
      return count > 0 ? [`${count} ${severity}`] : [];
    })
    .join(', ');
}

/** What can be done about it. */
export function remedy({ state, fixed }: Pick<Vulnerability, 'state' | 'fixed'>): string {
  switch (state) {
    case 'fixable':
      return `fixed in ${fixed}`;
    case 'unfixed':
      return 'not fixed yet';
    case 'end-of-life':
      return 'end of life, will not be fixed';
    case 'undetermined':
      return 'not looked into yet';
  }
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');
