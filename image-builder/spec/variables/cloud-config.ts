// Checks user data as cloud-init will read them (https://docs.cloud-init.io/en/latest/explanation/format.html), so that a
// node does not find out at its first boot. Pure.
import { isCollection, LineCounter, parseDocument, visit } from 'yaml';

/** What no reader of YAML 1.1 takes (5.1). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_PRINTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f\ufffe\uffff]/;

/** What is wrong with user data that are a cloud-config, each with its line; other formats are not looked into. */
export function cloudConfigProblems(userData: string): string[] {
  // `## template: jinja` comes before it, and what follows is YAML only once it has been rendered.
  if (!/^#cloud-config\s*(\n|$)/.test(userData)) return [];
  const lineCounter = new LineCounter();
  // As PyYAML reads it: YAML 1.1, of equal keys the last one, and no tags that make objects of a program.
  const document = parseDocument(userData, {
    version: '1.1',
    uniqueKeys: false,
    lineCounter,
    prettyErrors: false,
  });
  const at = (offset: number) => `line ${lineCounter.linePos(offset).line}`;
  const unknownTags = document.warnings.filter(({ code }) => code === 'TAG_RESOLVE_FAILED');
  const problems = [...document.errors, ...unknownTags].map(
    ({ message, pos }) => `${at(pos[0])}: ${message}`,
  );
  const control = userData.search(NOT_PRINTABLE);
  if (control >= 0) problems.push(`${at(control)}: a control character`);
  visit(document, {
    Pair(_, { key }) {
      if (!isCollection(key)) return;
      problems.push(
        `${at(key.range?.[0] ?? 0)}: a map or list is used as a key; quote text that begins with { or [`,
      );
    },
  });
  if (problems.length > 0) return problems;
  try {
    const value: unknown = document.toJS();
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isMap || value === null ? [] : ['is not a map, which a #cloud-config must be'];
  } catch (error) {
    return [(error as Error).message];
  }
}
