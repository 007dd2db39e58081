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

/** Every code of the errors in the TypeScript sources below these directories of `root`, sorted. */
export function errorCodes(root: string, directories: readonly string[]): ErrorCode[] {
  const codes = directories.flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) => codesIn(readFileSync(join(root, directory, path), 'utf8'))),
  );
  return codes.sort((a, b) => (`${a.code} ${a.thrownAs}` < `${b.code} ${b.thrownAs}` ? -1 : 1));
}

function codesIn(source: string): ErrorCode[] {
  return [...source.matchAll(CLASS)].flatMap(([, classDoc = '', thrownAs = '', argument = '']) => {
    const alias = /^\w+$/.test(argument.trim()) ? unionOf(source, argument.trim()) : undefined;
    return [...(alias ?? argument).matchAll(UNION_MEMBER)].map(([, doc = '', code = '']) => ({
      code,
      thrownAs,
      // A class with a single code says what it means.
      meaning: textOf(doc) || (alias === undefined ? textOf(classDoc) : ''),
    }));
  });
}

function unionOf(source: string, name: string): string | undefined {
  return new RegExp(`type ${name} =([^;]*);`).exec(source)?.[1];
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
  const rows = errorCodes(root, ['image-builder', 'functions']).map(
    ({ code, thrownAs, meaning }) => `| \`${code}\` | \`${thrownAs}\` | ${meaning.replaceAll('|', '\\|')} |`,
  );
  return [
    '# Error codes',
    'The code of an error stands in `tags.code` of the results of the KRM function. Codes do not change; messages may.',
    ['| code | class | meaning |', '| --- | --- | --- |', ...rows].join('\n'),
  ].join('\n\n');
}
