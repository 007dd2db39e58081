// The report of a scan as a comment on a pull request.
import { code, harmless, section, table } from '../base/diagnostics/markdown-blocks.ts';
import { counts, remedy } from './text.ts';
import type { ScanReport } from './vulnerability.ts';

/** The text of the comment. */
export function renderMarkdown({ image, disks, vulnerabilities, suppressed }: ScanReport): string {
  const parts = [
    '### Known vulnerabilities',
    table(
      ['disk', 'system', 'packages'],
      disks.map(({ file, system, packages }) => [code(file), harmless(system), `${packages}`]),
    ),
    `Bundle ${code(image)}`,
  ];
  if (vulnerabilities.length === 0) parts.push('No known vulnerability.');
  else
    parts.push(
      section(
        counts(vulnerabilities),
        ['severity', 'vulnerability', 'source package', 'installed', 'what to do', 'about'],
        vulnerabilities.map((one) => [
          one.severity,
          code(one.id),
          code(one.source),
          code(one.installed),
          harmless(remedy(one)),
          harmless(one.summary),
        ]),
      ),
    );
  if (suppressed.length > 0)
    parts.push(
      section(
        `Not affected: ${suppressed.length}`,
        ['vulnerability', 'source package', 'status', 'reason'],
        suppressed.map(({ vulnerability, status, reason }) => [
          code(vulnerability.id),
          code(vulnerability.source),
          status.replace('_', ' '),
          harmless(reason),
        ]),
      ),
    );
  return `${parts.join('\n\n')}\n`;
}
