// Markdown for comments on pull requests: GitHub Flavored Markdown, which GitLab and Gitea read too.
//
// Texts come from whoever has published what they are about. They stand in <code>, with every character that Markdown or
// HTML could take for its own as a character reference, which never forms structure (CommonMark 0.31, 2.5).

/** Longer lists are folded. */
const FOLDED = 10;
/** Rows of a list; the largest comment that GitHub takes has 65536 characters. */
const MAX_ROWS = 100;

/** A list under its title, folded when it is long, and cut when it is longer. */
export function section(title: string, columns: readonly string[], rows: readonly string[][]): string {
  const shown = rows.slice(0, MAX_ROWS);
  const left = rows.length - shown.length;
  const body = [table(columns, shown), ...(left > 0 ? [`… and ${left} more.`] : [])].join('\n\n');
  if (rows.length <= FOLDED) return `**${title}**\n\n${body}`;
  // Markdown inside of HTML is only read after an empty line.
  return `<details><summary><b>${title}</b></summary>\n\n${body}\n\n</details>`;
}

/** A table; the cells are Markdown. */
export function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A text as code: one line. */
export function code(text: string): string {
  return `<code>${harmless(text)}</code>`;
}

/** Letters, digits, blanks and a few signs stay; everything else is a character reference. */
export function harmless(text: string): string {
  return text.replace(/[^\p{L}\p{N} .,;/+=()%→−⏎…-]/gu, (character) => `&#${character.codePointAt(0)};`);
}
