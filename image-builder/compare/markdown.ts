// A comparison as a comment on a pull request: GitHub Flavored Markdown, which GitLab and Gitea read too.
//
// All texts come from whoever has published the bundles. They stand in <code>, with every character that Markdown or
// HTML could take for its own as a character reference, which never forms structure (CommonMark 0.31, 2.5).
import type { Change } from '../pipeline/input-changes.ts';
import type { Comparison } from './comparison.ts';
import { describeImage, describePartitionValue, describeValue, printable } from './describe.ts';
import { countPackages } from './text.ts';

/** Longer lists are folded. */
const FOLDED = 10;
/** Rows of a list; the largest comment that GitHub takes has 65536 characters. */
const MAX_ROWS = 100;

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
  else if (variables.length + packages.length + images.length === 0) parts.push('No known difference.');
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
  parts.push(...unknown.map((what) => `Not compared: ${harmless(printable(what))}.`));
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

function section(title: string, columns: readonly string[], rows: readonly string[][]): string {
  const shown = rows.slice(0, MAX_ROWS);
  const left = rows.length - shown.length;
  const body = [table(columns, shown), ...(left > 0 ? [`… and ${left} more.`] : [])].join('\n\n');
  if (rows.length <= FOLDED) return `**${title}**\n\n${body}`;
  // Markdown inside of HTML is only read after an empty line.
  return `<details><summary><b>${title}</b></summary>\n\n${body}\n\n</details>`;
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

function code(text: string): string {
  return `<code>${harmless(describeValue(text))}</code>`;
}

/** Letters, digits, blanks and a few signs stay; everything else is a character reference. */
function harmless(text: string): string {
  return text.replace(/[^\p{L}\p{N} .,;/+=()%→−⏎…-]/gu, (character) => `&#${character.codePointAt(0)};`);
}
