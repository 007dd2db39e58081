// Between YAML nodes and JavaScript values, without the losses that YAML readers of different versions cause.
//
// Documents that only pass through are parsed with the failsafe schema (document.ts), where every scalar is the text that
// was written. `readValue` interprets such a node by the core schema; `toNode` makes a node that every reader, of YAML 1.1
// or 1.2, takes for the value that it was made of.
import type { Alias, Document, Node, ScalarTag } from 'yaml';
import { isAlias, isMap, isNode, isScalar, isSeq, Pair, Scalar, Schema, YAMLMap, YAMLSeq } from 'yaml';
import { ImageBuilderError } from '../diagnostics/error.ts';
import { aliasTarget } from './aliases.ts';
import { ForeignValue, isForeignTag } from './tags.ts';
import { keyStyle, type TextStyle, textStyle } from './text-style.ts';

/** A number that a JavaScript number cannot hold, or would print differently: its text is its value. */
export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  /** As JSON: with the same digits where JSON can write them. */
  get json(): string {
    if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$/.test(this.text)) return this.text;
    const value = this.toJSON();
    return Number.isFinite(value) ? String(value) : JSON.stringify(this.text);
  }
  toJSON(): number {
    return Number(this.text);
  }
}

export type ValueErrorCode =
  /** Aliases of the YAML expand to more nodes than are read. */
  | 'TOO_MANY_NODES'
  /** An alias of the YAML is part of its own target. */
  | 'CYCLIC_ALIAS'
  /** A merge key (`<<`) of the YAML has a value that cannot be merged. */
  | 'INVALID_MERGE';

/** YAML without a usable value. */
export class ValueError extends ImageBuilderError<ValueErrorCode> {}

/** More nodes than any honest document expands to. */
const MAX_NODES = 200_000;

/**
 * The value of a node of a document that was parsed with the failsafe schema, by the core schema of YAML 1.2 (10.3).
 * Merge keys are expanded. A number that JavaScript would change or write differently is an {@link ExactNumber}, what has
 * the tag of another program a {@link ForeignValue}.
 * @throws ValueError if an alias is part of its own target, or aliases expand the value beyond {@link MAX_NODES}
 */
export function readValue(node: unknown, document: Document): unknown {
  let nodes = 0;
  const following = new Set<Alias>();
  const read = (value: unknown): unknown => {
    if (++nodes > MAX_NODES) {
      throw new ValueError(
        'TOO_MANY_NODES',
        `the aliases of the YAML expand to more than ${MAX_NODES} nodes`,
      );
    }
    if (isAlias(value)) {
      if (following.has(value)) {
        throw new ValueError('CYCLIC_ALIAS', `the alias *${value.source} is part of its own target`);
      }
      following.add(value);
      const target = read(aliasTarget(value, document));
      following.delete(value);
      return target;
    }
    if (isNode(value) && isForeignTag(value.tag)) return new ForeignValue(value.tag ?? '');
    if (isScalar(value)) return readScalar(value);
    if (isSeq(value)) return value.items.map(read);
    if (!isMap(value)) return null;
    const object: Record<string, unknown> = {};
    const merged: unknown[] = [];
    for (const { key, value: child } of value.items) {
      if (isMergeKey(key)) merged.push(read(child));
      else setOwn(object, keyText(key), read(child));
    }
    for (const other of merged.flat()) mergeInto(object, other);
    return object;
  };
  return read(node);
}

/** Kustomize expands `<<` before a function sees an object; kpt does not, and files of the command line are as written. */
function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<';
}

/**
 * Fields that the object does not have itself (https://yaml.org/type/merge.html); the first of several maps that have a
 * field counts.
 */
function mergeInto(object: Record<string, unknown>, other: unknown): void {
  if (typeof other !== 'object' || other === null || Array.isArray(other)) {
    throw new ValueError('INVALID_MERGE', 'the merge key << must have a map or a list of maps');
  }
  for (const [name, value] of Object.entries(other)) {
    if (!Object.hasOwn(object, name)) setOwn(object, name, value);
  }
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
  if (typeof text !== 'string') return text;
  if (scalar.tag === undefined ? scalar.type !== 'PLAIN' : !TYPED.test(scalar.tag)) return text;
  coreTags ??= new Schema({ schema: 'core' }).tags.filter((tag): tag is ScalarTag => !tag.collection);
  const tag = coreTags.find((candidate) => candidate.default === true && candidate.test?.test(text));
  const value = tag?.resolve(text, () => {}, {});
  const plain = isScalar(value) ? value.value : (value ?? (tag ? null : text));
  return typeof plain === 'number' && String(plain) !== text ? new ExactNumber(text) : plain;
}

/** Tags by which a text in quotes is a value of another type. */
const TYPED = /^tag:yaml\.org,2002:(?:int|float|bool|null)$/;

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
    if (child !== undefined) map.items.push(new Pair(keyNode(key), toNode(child)));
  }
  return map;
}

function plain(text: string): Scalar<string> {
  const node = new Scalar(text);
  node.type = 'PLAIN';
  return node;
}

/** A node for a string that stays a string. */
export function stringNode(text: string): Scalar<string> {
  return styledNode(text, textStyle(text));
}

/** A node for a key. */
export function keyNode(text: string): Scalar<string> {
  return styledNode(text, keyStyle(text));
}

function styledNode(text: string, style: TextStyle): Scalar<string> {
  const node = new Scalar(text);
  if (style === 'quoted') node.type = 'QUOTE_DOUBLE';
  else if (style === 'block') node.type = 'BLOCK_LITERAL';
  return node;
}
