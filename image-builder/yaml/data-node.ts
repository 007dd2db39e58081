// Nodes for large values of plain data. The library decides the style of every scalar anew, with a dozen regular
// expressions and an object for each; a render that answers with fifty catalogues spent a third of its time on that.
// What is simple enough to need no decision is written here, with the same text as a result.
import type { Node } from 'yaml';
import { YAMLMap, YAMLSeq } from 'yaml';
import { ExactNumber, LOOKS_TYPED, toNode } from './values.ts';

/**
 * A node for a value made of JSON types and {@link ExactNumber}: the text of `toNode(value)`, sooner. What is below it
 * cannot be changed any more.
 */
export function dataNode(value: unknown): Node {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return toNode(value);
  if (Object.keys(value).length === 0 || !isSimple(value)) return toNode(value);
  return Array.isArray(value) ? new DataSeq(value) : new DataMap(value);
}

interface StringifyContext {
  indent: string;
  inFlow?: boolean | null;
}

class DataMap extends YAMLMap {
  readonly #value: object;

  constructor(value: object) {
    super();
    this.#value = value;
    this.flow = false;
  }

  override toString(context?: StringifyContext): string {
    return context?.inFlow ? JSON.stringify(this.#value) : mapText(this.#value, context?.indent ?? '');
  }

  override toJSON(): unknown {
    return structuredClone(this.#value);
  }
}

class DataSeq extends YAMLSeq {
  readonly #value: readonly unknown[];

  constructor(value: readonly unknown[]) {
    super();
    this.#value = value;
    this.flow = false;
  }

  override toString(context?: StringifyContext): string {
    return context?.inFlow ? JSON.stringify(this.#value) : seqText(this.#value, context?.indent ?? '');
  }

  override toJSON(): unknown[] {
    return structuredClone([...this.#value]);
  }
}

/** Text that is written as it is, or in double quotes when {@link LOOKS_TYPED} wants them. */
const SIMPLE =
  /^(?!.*: )(?:-(?=[\w-])|[\w/.(+=$<^~])[\w/.,()+=@%$;:*~^<>!?&|-]*(?: [\w/.,()+=@%$;:*~^<>!?&|-]+)*(?<![:-])$/;

function isSimple(value: unknown): boolean {
  if (typeof value === 'string') return value === '' || SIMPLE.test(value);
  if (Array.isArray(value)) return value.every(isSimple);
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return value !== undefined;
  return Object.entries(value).every(([key, child]) => isSimple(key) && isSimple(child));
}

function scalarText(value: unknown): string {
  if (value instanceof ExactNumber) return value.text;
  if (typeof value !== 'string') return String(value);
  return LOOKS_TYPED.test(value) ? `"${value}"` : value;
}

/** The lines of a map; the first one is not indented. */
function mapText(map: object, indent: string): string {
  return Object.entries(map)
    .map(([key, child]) => `${scalarText(key)}:${childText(child, indent)}`)
    .join(`\n${indent}`);
}

/** What comes after `key:`; lists stand below their key, not deeper. */
function childText(value: unknown, indent: string): string {
  const kind = kindOf(value);
  if (kind === 'map') return `\n${indent}  ${mapText(value as object, `${indent}  `)}`;
  if (kind === 'seq') return `\n${indent}${seqText(value as unknown[], indent)}`;
  return ` ${inlineText(value, indent)}`;
}

function seqText(items: readonly unknown[], indent: string): string {
  return items.map((item) => `- ${inlineText(item, `${indent}  `)}`).join(`\n${indent}`);
}

/** A value that begins on the line where it stands. */
function inlineText(value: unknown, indent: string): string {
  switch (kindOf(value)) {
    case 'map':
      return mapText(value as object, indent);
    case 'seq':
      return seqText(value as unknown[], indent);
    case 'empty':
      return Array.isArray(value) ? '[]' : '{}';
    case 'scalar':
      return scalarText(value);
  }
}

function kindOf(value: unknown): 'scalar' | 'empty' | 'seq' | 'map' {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return 'scalar';
  if (Object.keys(value).length === 0) return 'empty';
  return Array.isArray(value) ? 'seq' : 'map';
}
