// Between YAML nodes and JavaScript values, without the losses that YAML readers of different versions cause.
//
// Documents that only pass through are parsed with the failsafe schema, where every scalar is the text that was
// written. `readValue` interprets such a node by the core schema; `toNode` makes a node that every reader, of YAML 1.1
// or 1.2, takes for the value that it was made of.
import type { Document, Node, ScalarTag } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, Pair, Scalar, Schema, YAMLMap, YAMLSeq } from 'yaml';

/** A number that a JavaScript number cannot hold, or would print differently: its text is its value. */
export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toJSON(): number {
    return Number(this.text);
  }
}

/** How many nodes are read before we say that somebody plays with aliases. */
const MAX_NODES = 200_000;

/**
 * The value of a node of a document that was parsed with the failsafe schema, by the core schema of YAML 1.2 (10.3).
 * @throws RangeError when aliases blow the value up beyond all measure
 */
export function readValue(node: unknown, document: Document): unknown {
  let nodes = 0;
  const read = (value: unknown): unknown => {
    if (++nodes > MAX_NODES) throw new RangeError(`aliases expand to more than ${MAX_NODES} nodes`);
    if (isAlias(value)) return read(value.resolve(document));
    if (isScalar(value)) return readScalar(value);
    if (isSeq(value)) return value.items.map(read);
    if (!isMap(value)) return null;
    const object: Record<string, unknown> = {};
    for (const { key, value: child } of value.items) setOwn(object, keyText(key), read(child));
    return object;
  };
  return read(node);
}

/** Sets a property even when its name is `__proto__`. */
function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}

/** The text of a mapping's key. */
export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? '') : String(key);
}

let coreTags: ScalarTag[] | undefined;

function readScalar(scalar: Scalar): unknown {
  const text = scalar.value;
  if (scalar.type !== 'PLAIN' || scalar.tag !== undefined || typeof text !== 'string') return text;
  coreTags ??= new Schema({ schema: 'core' }).tags.filter((tag): tag is ScalarTag => !tag.collection);
  const tag = coreTags.find((candidate) => candidate.default === true && candidate.test?.test(text));
  const value = tag?.resolve(text, () => {}, {});
  return isScalar(value) ? value.value : (value ?? (tag ? null : text));
}

/**
 * A node for a value made of JSON types and {@link ExactNumber}.
 * Keys whose value is `undefined` are left out.
 */
export function toNode(value: unknown): Node {
  if (typeof value === 'string') return stringNode(value);
  if (Array.isArray(value)) {
    const seq = new YAMLSeq();
    seq.items = value.map(toNode);
    return seq;
  }
  if (value instanceof ExactNumber) return plain(value.text);
  if (typeof value !== 'object' || value === null) return plain(String(value));
  const map = new YAMLMap();
  for (const [key, child] of Object.entries(value)) {
    if (child !== undefined) map.items.push(new Pair(stringNode(key), toNode(child)));
  }
  return map;
}

function plain(text: string): Scalar<string> {
  const node = new Scalar(text);
  node.type = 'PLAIN';
  return node;
}

/** Plain text that some version of YAML takes for null, a boolean, a number, a date, or a merge key. */
export const LOOKS_TYPED =
  /^(?:~|null|y|yes|n|no|true|false|on|off|=|<<|[-+]?\.(?:inf|nan)|---|\.\.\.)?$|^[-+.]*[0-9]/i;
/** What has to be escaped: control characters, line breaks other than \n, the byte order mark, lone surrogates. */
const NEEDS_ESCAPE =
  /[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]|[\u2028\u2029]/u;

/** A node for a string that stays a string. */
export function stringNode(text: string): Scalar<string> {
  const node = new Scalar(text);
  if (NEEDS_ESCAPE.test(text) || LOOKS_TYPED.test(text)) node.type = 'QUOTE_DOUBLE';
  else if (text.includes('\n')) node.type = 'BLOCK_LITERAL';
  else if (text.includes('\t')) node.type = 'QUOTE_DOUBLE';
  return node;
}

/** Options for writing documents: lines are never folded, lists are indented as Kubernetes tools write them. */
export const STRINGIFY_OPTIONS = { lineWidth: 0, indentSeq: false, flowCollectionPadding: false } as const;
