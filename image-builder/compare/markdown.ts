// A comparison as a comment on a pull request.
import { code as codeOf, harmless, section, table } from '../base/diagnostics/markdown-blocks.ts';
import type { Change } from '../pipeline/input-changes.ts';
import type { Comparison } from './comparison.ts';
import { describeImage, describePartitionValue, describeValue, oneLine } from './describe.ts';
import { hasChanges, sectionsOf } from './sections.ts';
import { countPackages } from './text.ts';

/** The text of the comment. */
export function renderMarkdown(comparison: Comparison): string {
  const { a, b, identical, variables, packages, images, unknown } = comparison;
  const parts = [
    '### Bundle changes',
    table(
      ['', 'bundle'],
      [
        ['before', `<code>${harmless(a.image)}</code>`],
        ['after', `<code>${harmless(b.image)}</code>`],
      ],
    ),
  ];
  if (identical) parts.push('The two bundles are identical.');
  else if (!hasChanges(comparison)) parts.push('No known difference.');
  if (images.length > 0) {
    const rows = images.map((image) => [code(image.name), describeImage(image).map(harmless).join('<br>')]);
    parts.push(section(`Images (${images.length})`, ['image', 'change'], rows));
  }
  const partitions = images.flatMap(({ name, partitions: changes = [] }) =>
    changes.map((change) => [code(name), ...changeCells(change, describePartitionValue)]),
  );
  if (partitions.length > 0) {
    const title = `Partitions (${partitions.length})`;
    parts.push(section(title, ['image', 'partition', 'before', 'after'], partitions));
  }
  if (packages.length > 0) {
    const rows = packages.map(({ name, change, before, after }) => [
      code(name),
      change,
      before === undefined ? '' : code(before),
      after === undefined ? '' : code(after),
    ]);
    parts.push(
      section(`Packages: ${countPackages(packages)}`, ['package', 'change', 'before', 'after'], rows),
    );
  }
  if (variables.length > 0) {
    const rows = variables.map((change) => [...changeCells(change), change.profiles.map(code).join(' ')]);
    const title = `Variables (${variables.length})`;
    parts.push(section(title, ['variable', 'before', 'after', 'profiles'], rows));
  }
  for (const { title, columns, rows } of sectionsOf(comparison))
    parts.push(
      section(
        title,
        columns,
        rows.map((cells) => cells.map((cell) => (cell === '' ? '' : code(cell)))),
      ),
    );
  parts.push(...unknown.map((what) => `Not compared: ${harmless(oneLine(what))}.`));
  return `${parts.join('\n\n')}\n`;
}

function changeCells(
  { path, before, after }: Change,
  describe: (value: unknown) => string = describeValue,
): string[] {
  return [
    code(path),
    before === undefined ? '' : code(describe(before)),
    after === undefined ? '' : code(describe(after)),
  ];
}

const code = (text: string): string => codeOf(describeValue(text));
