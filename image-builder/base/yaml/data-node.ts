// Nodes for large values of plain data. The library decides the style of every scalar anew, with a dozen regular
// expressions and an object for each; a render that answers with fifty catalogues spent a third of its time on that.
// Data is written here, with the same text as a result.
import { YAMLMap } from 'yaml';
import { keyStyle, quoted, textStyle } from './text-style.ts';
import { ExactNumber } from './values.ts';

/**
 * The map `header` with the fields of `data` after its own: the text of `toNode({...header, ...data})`, faster. Only the header
 * can be changed afterwards.
 * @param data JSON types and {@link ExactNumber}, without fields of the header
 */
export function withData(header: YAMLMap, data: Readonly<Record<string, unknown>>): YAMLMap {
  return fieldsOf(data).length > 0 ? new HeadedMap(header, data) : header;
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

interface StringifyContext {
  indent: string;
  inFlow?: boolean | null;
}

/** The text of values that several objects share; data no longer changes when it is written. */
const flowTexts = new WeakMap<object, string>();

/** JSON, with the digits that numbers were written with. */
function flowText(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const known = flowTexts.get(value);
  if (known !== undefined) return known;
  const text = composeFlowText(value);
  flowTexts.set(value, text);
  return text;
}

function composeFlowText(value: object): string {
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(flowText).join(',')}]`;
  return `{${fieldsOf(value)
    .map(([key, child]) => `${quoted(key)}:${flowText(child)}`)
    .join(',')}}`;
}

/** The fields of a map that are there. */
function fieldsOf(map: object): [string, unknown][] {
  return Object.entries(map).filter(([, value]) => value !== undefined);
}

/** A copy of JSON types only. */
function plain<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value));
}

/** The same in blocks. */
const texts = new WeakMap<object, { indent: string; text: string }>();

/** @param indent that of the lines of a block */
function scalarText(value: unknown, indent: string): string {
  if (value instanceof ExactNumber) return value.text;
  if (typeof value !== 'string') return String(value);
  const style = textStyle(value);
  if (style === 'block') return blockText(value, indent);
  return style === 'quoted' ? quoted(value) : value;
}

function blockText(text: string, indent: string): string {
  const endsLine = text.endsWith('\n');
  const lines = endsLine ? text.slice(0, -1) : text;
  return `${endsLine ? '|' : '|-'}\n${indent}${lines.replace(/\n+/g, `$&${indent}`)}`;
}

/** The lines of a map; the first one is not indented. */
function mapText(map: object, indent: string): string {
  return fieldsOf(map)
    .map(([key, child]) => fieldText(key, child, indent))
    .join(`\n${indent}`);
}

/** Keys of more characters have to be marked as keys, for readers look no further for the colon (YAML 1.2, 7.4.2). */
const LONGEST_IMPLICIT_KEY = 1024;

function fieldText(key: string, value: unknown, indent: string): string {
  const name = keyStyle(key) === 'quoted' ? quoted(key) : key;
  if (name.length <= LONGEST_IMPLICIT_KEY) return `${name}:${childText(value, indent)}`;
  return `? ${name}\n${indent}: ${inlineText(value, `${indent}  `)}`;
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
  if (fieldsOf(value).length === 0) return 'empty';
  return Array.isArray(value) ? 'seq' : 'map';
}
