// docs/reference/errors.md, from the unions of codes in the sources and their docstrings.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A code of a class of errors. */
export interface ErrorCode {
  code: string;
  /** The class that carries it. */
  thrownAs: string;
  /** What has happened; empty when its docstring is missing. */
  meaning: string;
}

const CLASS = /((?:\/\*\*(?:[^*]|\*(?!\/))*\*\/\s*)?)export class (\w+) extends ImageBuilderError<([^>{]+)>/g;
const UNION_MEMBER = /((?:\/\*\*(?:[^*]|\*(?!\/))*\*\/\s*)?)\|?\s*'([A-Z][A-Z0-9_]+)'/g;

/** What the doctor finds has codes too; no class carries them. */
const DOCTOR = { file: 'image-builder/doctor/finding.ts', union: 'DoctorCode' };

/** Every code of what the doctor finds, sorted. */
export function doctorCodes(root: string): Omit<ErrorCode, 'thrownAs'>[] {
  const union = unionOf(readFileSync(join(root, DOCTOR.file), 'utf8'), DOCTOR.union) ?? '';
  return membersOf(union).sort((a, b) => (a.code < b.code ? -1 : 1));
}

/** Every code of the errors in the TypeScript sources below these directories of `root`, sorted. */
export function errorCodes(root: string, directories: readonly string[]): ErrorCode[] {
  const codes = directories.flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => codesIn(readFileSync(join(root, directory, path), 'utf8'))),
  );
  return codes.sort((a, b) => (`${a.code} ${a.thrownAs}` < `${b.code} ${b.thrownAs}` ? -1 : 1));
}

/** Codes that no class carries. */
const UNCLASSIFIED = 'UnclassifiedCode';

function codesIn(source: string): ErrorCode[] {
  const unclassified = membersOf(unionOf(source, UNCLASSIFIED) ?? '').map((code) => ({
    ...code,
    thrownAs: '',
  }));
  const classified = [...source.matchAll(CLASS)].flatMap(
    ([, classDoc = '', thrownAs = '', argument = '']) => {
      const alias = /^\w+$/.test(argument.trim()) ? unionOf(source, argument.trim()) : undefined;
      const members = membersOf(alias ?? argument);
      // The docstring of a class with a single code says what the code means.
      const fallback = alias === undefined && members.length === 1 ? textOf(classDoc) : '';
      return members.map(({ code, meaning }) => ({ code, thrownAs, meaning: meaning || fallback }));
    },
  );
  return [...unclassified, ...classified];
}

const membersOf = (union: string) =>
  [...union.matchAll(UNION_MEMBER)].map(([, doc = '', code = '']) => ({ code, meaning: textOf(doc) }));

/** The text of a union type, with its docstrings, which may contain semicolons. */
function unionOf(source: string, name: string): string | undefined {
  const type = new RegExp(`type ${name} =((?:/\\*(?:[^*]|\\*(?!/))*\\*/|[^;/])*);`);
  return type.exec(source)?.[1];
}

/** The words of a docstring, on one line. */
const textOf = (comment: string): string =>
  comment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .replace(/^\s*\*\s?/gm, '')
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .replace(/\s+/g, ' ')
    .trim();

/** Markdown of all codes. */
export function errorReference(root: string): string {
  const cell = (meaning: string) => meaning.replaceAll('|', '\\|');
  const errors = errorCodes(root, ['image-builder', 'functions']).map(
    ({ code, thrownAs, meaning }) => `| \`${code}\` | ${thrownAs && `\`${thrownAs}\``} | ${cell(meaning)} |`,
  );
  const findings = doctorCodes(root).map(({ code, meaning }) => `| \`${code}\` | ${cell(meaning)} |`);
  return [
    '# Error codes',
    'Every error has a code. It is printed in brackets at the end of the error line, is `code` in the lines of `--log-format json`, and `tags.code` in the results of the KRM function. Codes do not change; messages may.',
    ['| code | class | meaning |', '| --- | --- | --- |', ...errors].join('\n'),
    '## What `image-builder doctor` finds',
    'Each finding has a code too, except for what is in order.',
    ['| code | meaning |', '| --- | --- |', ...findings].join('\n'),
  ].join('\n\n');
}
