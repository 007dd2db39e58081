// YAML of a policy file as a value, and the line of what is wrong with it.
import { LineCounter, parseDocument } from 'yaml';
import { type Finding, invalidInput } from '../base/diagnostics/error.ts';
import { findExcerpt } from '../base/yaml/excerpt.ts';

/**
 * @param file for messages
 * @throws InvalidInputError for what is no YAML, an alias bomb, and an alias without an anchor
 */
export function readPolicyYaml(text: string, file: string): unknown {
  const { document, lineCounter } = parsed(text);
  const [error] = document.errors;
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    throw invalidInput({ file }, `line ${line}, column ${col}: not valid YAML: ${error.message}`);
  }
  try {
    // Bombs and dangling aliases only show here.
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    throw invalidInput({ file }, `not valid YAML: ${(cause as Error).message}`, { cause });
  }
}

/** The finding with the line of its field in `text`, which {@link readPolicyYaml} reads. */
export function withLine(finding: Finding, text: string): Finding {
  const found = findExcerpt({ ...parsed(text), source: text }, finding.field ?? '', finding.message);
  return found ? { ...finding, line: found.line, excerpt: found.text } : finding;
}

function parsed(text: string): { document: ReturnType<typeof parseDocument>; lineCounter: LineCounter } {
  const lineCounter = new LineCounter();
  return { document: parseDocument(text, { lineCounter, prettyErrors: false }), lineCounter };
}
