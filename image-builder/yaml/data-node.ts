// Nodes for large values of plain data. The library decides the style of every scalar anew, with a dozen regular
// expressions and an object for each; a render that answers with fifty catalogues spent a third of its time on that.
// What is simple enough to need no decision is written here, with the same text as a result.
import type { Node } from 'yaml';
import { Pair, YAMLMap, YAMLSeq } from 'yaml';
import { ExactNumber, LOOKS_TYPED, stringNode, toNode } from './values.ts';

/**
 * A node for a value made of JSON types and {@link ExactNumber}: the text of `toNode(value)`, sooner. What is below it
 * cannot be changed any more.
 */
export function dataNode(value: unknown): Node {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return toNode(value);
  if (Object.keys(value).length === 0) return toNode(value);
  if (isSimple(value)) return Array.isArray(value) ? new DataSeq(value) : new DataMap(value);
  // The library writes what needs a decision, and nothing beside it.
  return Array.isArray(value) ? listNode(value) : mapNode(value);
}

/**
 * The map `header` with the fields of `data` after its own. Only the header can be changed afterwards.
 * @param data without fields of the header
 */
export function withData(header: YAMLMap, data: Readonly<Record<string, unknown>>): YAMLMap {
  const defined = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
  if (Object.keys(defined).length > 0 && isSimple(defined)) return new HeadedMap(header, defined);
  for (const [name, value] of Object.entries(defined)) {
    header.items.push(new Pair(stringNode(name), dataNode(value)));
  }
  return header;
}

/** Whoever looks for a field of the object, or sets one, means the header. */
class HeadedMap extends YAMLMap {
  readonly #data: object;

  constructor(header: YAMLMap, data: object) {
    super();
    this.items = header.items;
    this.#data = data;
    this.flow = false;
  }

  override toString(context?: StringifyContext): string {
    if (!context || context.inFlow) return flowText({ ...(super.toJSON() as object), ...this.#data });
    const header = super.toString(context as Parameters<YAMLMap['toString']>[0]);
    const { indent } = context;
    return `${header}\n${indent}${mapText(this.#data, indent)}`;
  }

  override toJSON(): unknown {
    return { ...(super.toJSON() as object), ...plain(this.#data) };
  }
}

function listNode(list: readonly unknown[]): Node {
  const node = new YAMLSeq();
  node.items = list.map(dataNode);
  return node;
}

function mapNode(map: object): Node {
  const node = new YAMLMap();
  for (const [name, child] of Object.entries(map)) {
    if (child !== undefined) node.items.push(new Pair(stringNode(name), dataNode(child)));
  }
  return node;
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
    return context?.inFlow ? flowText(this.#value) : mapText(this.#value, context?.indent ?? '');
  }

  override toJSON(): unknown {
    return plain(this.#value);
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
    return context?.inFlow ? flowText(this.#value) : seqText(this.#value, context?.indent ?? '');
  }

  override toJSON(): unknown[] {
    return plain([...this.#value]);
  }
}

/** JSON, with the digits that numbers were written with. */
function flowText(value: unknown): string {
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(flowText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, child]) => child !== undefined);
  return `{${fields.map(([key, child]) => `${JSON.stringify(key)}:${flowText(child)}`).join(',')}}`;
}

/** A copy of JSON types only. */
function plain<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value));
}

/** Text that is written as it is, unless {@link LOOKS_TYPED} wants quotes around it. */
const PLAIN =
  /^(?!.*: )(?:-(?=[\w-])|[\w/.(+=$<^~])[\w/.,()+=@%$;:*~^<>!?&|-]*(?: [\w/.,()+=@%$;:*~^<>!?&|-]+)*(?<![:-])$/;
/** One line that needs no escapes between double quotes. */
const QUOTABLE = /^[ !#-[\]-~]*$/;
/** Where YAML would take plain text for something else. */
const NEEDS_QUOTES = /^[ ,[\]{}#&*!|>'%@`]|^[?-](?: |$)|: | #|[ :]$/;
/** Lines that a literal block holds as they are, with at most one line break at the end. */
const BLOCK = /^[!-~](?:[\n -~]*[!-~])?\n?$/;

type Style = 'plain' | 'quoted' | 'block' | undefined;

/** Catalogues of one build say the same things: the style of a text is decided once. */
const styles = new Map<string, Style>();

/** How a text is written; undefined when the library has to decide. */
function styleOf(text: string): Style {
  if (styles.has(text)) return styles.get(text);
  const style = decideStyle(text);
  styles.set(text, style);
  return style;
}

function decideStyle(text: string): Style {
  if (LOOKS_TYPED.test(text)) return QUOTABLE.test(text) ? 'quoted' : undefined;
  if (PLAIN.test(text)) return 'plain';
  if (text.includes('\n')) return BLOCK.test(text) ? 'block' : undefined;
  return QUOTABLE.test(text) && NEEDS_QUOTES.test(text) ? 'quoted' : undefined;
}

/** What was found of values that several objects share; data does not change any more when it is written. */
const simple = new WeakMap<object, boolean>();
const texts = new WeakMap<object, { indent: string; text: string }>();

function isSimple(value: unknown): boolean {
  if (typeof value === 'string') return styleOf(value) !== undefined;
  if (typeof value !== 'object' || value === null) return value !== undefined;
  const known = simple.get(value) ?? isSimpleObject(value);
  simple.set(value, known);
  return known;
}

function isSimpleObject(value: object): boolean {
  if (Array.isArray(value)) return value.every(isSimple);
  if (value instanceof ExactNumber) return true;
  return Object.entries(value).every(([key, child]) => isSimpleKey(key) && isSimple(child));
}

function isSimpleKey(key: string): boolean {
  const style = styleOf(key);
  return style === 'plain' || style === 'quoted';
}

/** @param indent that of the lines of a block */
function scalarText(value: unknown, indent: string): string {
  if (value instanceof ExactNumber) return value.text;
  if (typeof value !== 'string') return String(value);
  const style = styleOf(value);
  if (style === 'quoted') return `"${value}"`;
  if (style === 'block') return blockText(value, indent);
  return value;
}

function blockText(text: string, indent: string): string {
  const endsLine = text.endsWith('\n');
  const lines = endsLine ? text.slice(0, -1) : text;
  return `${endsLine ? '|' : '|-'}\n${indent}${lines.replace(/\n+/g, `$&${indent}`)}`;
}

/** The lines of a map; the first one is not indented. */
function mapText(map: object, indent: string): string {
  return Object.entries(map)
    .map(([key, child]) => `${scalarText(key, '')}:${childText(child, indent)}`)
    .join(`\n${indent}`);
}

/** What comes after `key:`; lists stand below their key, not deeper. */
function childText(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return composeChildText(value, indent);
  const known = texts.get(value);
  if (known?.indent === indent) return known.text;
  const text = composeChildText(value, indent);
  texts.set(value, { indent, text });
  return text;
}

function composeChildText(value: unknown, indent: string): string {
  const kind = kindOf(value);
  if (kind === 'map') return `\n${indent}  ${mapText(value as object, `${indent}  `)}`;
  if (kind === 'seq') return `\n${indent}${seqText(value as unknown[], indent)}`;
  return ` ${inlineText(value, `${indent}  `)}`;
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
      return scalarText(value, indent);
  }
}

function kindOf(value: unknown): 'scalar' | 'empty' | 'seq' | 'map' {
  if (typeof value !== 'object' || value === null || value instanceof ExactNumber) return 'scalar';
  if (Object.keys(value).length === 0) return 'empty';
  return Array.isArray(value) ? 'seq' : 'map';
}
