// Finds references to bundles in YAML files, with their places in the text, so that they can be rewritten without
// touching anything else: comments, quotes and indentation stay as they are.

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseAllDocuments,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml';

/** A reference in a file. */
export interface FoundReference {
  /** The reference as written; for `newTag` the image's name with the tag. */
  reference: string;
  /** 1-based. */
  line: number;
  /** Where it can be rewritten; undefined where only a person can do that (an alias, odd notations). */
  place?: Place;
}

/** The text to be replaced: the reference, or only the tag of a `newTag`. */
export interface Place {
  /** Offsets in UTF-16 units of the text. */
  start: number;
  end: number;
  tagOnly: boolean;
}

type Found = Omit<FoundReference, 'line'> & { offset: number };

/** An `image:` line of YAML within a string: annotations and inline functions. */
const IMAGE_LINE = /^([ \t]*(?:-[ \t]+)?image:[ \t]*)(["']?)([^\s"'#]+)\2/gm;
/** Strings in strings in strings: nobody writes more. */
const DEEPEST = 3;
/** What may stand beside a reference without being part of it. */
const BOUNDARY = /[^\w.:/@-]/;

/**
 * References in: `spec.bundle.image` and `spec.bundles.*.image` of ImageBuilder objects, also in lists; the `image:` of function declarations
 * (annotation `config.kubernetes.io/function`); ImageBuilder objects and functions written inline in a kustomization; and
 * the `images:` of a kustomization (`newTag`).
 */
export function findReferences(text: string): FoundReference[] {
  const unique = new Map(findIn(text, 0).map((entry) => [`${entry.offset} ${entry.reference}`, entry]));
  let line = 1;
  let counted = 0;
  return [...unique.values()]
    .sort((a, b) => a.offset - b.offset)
    .map(({ offset, ...entry }) => {
      for (let at = text.indexOf('\n', counted); at >= 0 && at < offset; at = text.indexOf('\n', at + 1))
        line++;
      counted = offset;
      return { ...entry, line };
    });
}

/** @param depth in how many strings the text lies */
function findIn(text: string, depth: number): Found[] {
  const found: Found[] = [];
  for (const document of documentsOf(text)) {
    for (const entry of ofObject(text, document, document.root)) found.push(entry);
    for (const node of document.strings) {
      if (!isEmbedded(String(node.value))) continue;
      for (const entry of embedded(text, node, depth)) found.push(entry);
    }
  }
  return found;
}

/** A document, walked through once: what aliases stand for, and its strings. */
interface Document {
  root: unknown;
  aliases: ReadonlyMap<unknown, unknown>;
  strings: readonly Scalar[];
}

function documentsOf(text: string): Document[] {
  const documents = [...parseAllDocuments(text, { schema: 'failsafe' })];
  return documents
    .filter((document) => 'contents' in document && document.errors.length === 0)
    .map((document) => {
      const anchors = new Map<string, unknown>();
      const aliases = new Map<unknown, unknown>();
      const strings: Scalar[] = [];
      visit(document as never, {
        Node(_, node) {
          if (isAlias(node)) aliases.set(node, anchors.get(node.source));
          else if (node.anchor) anchors.set(node.anchor, node);
          if (isScalar(node) && typeof node.value === 'string') strings.push(node);
        },
      });
      return { root: document.contents, aliases, strings };
    });
}

/** The references of an object, or of those in a list. */
function ofObject(text: string, document: Document, node: unknown): Found[] {
  const object = resolved(document, node);
  if (!isMap(object)) return [];
  const kind = textOf(document, child(document, object, 'kind'));
  const items = resolved(document, child(document, object, 'items'));
  if (kind?.endsWith('List') && isSeq(items))
    return items.items.flatMap((item) => ofObject(text, document, item));
  if (kind === 'ImageBuilder') {
    const spec = child(document, object, 'spec');
    const many = resolved(document, child(document, spec, 'bundles'));
    const bundles = [
      child(document, spec, 'bundle'),
      ...(isMap(many) ? many.items.map(({ value }) => value) : []),
    ];
    return bundles.flatMap((bundle) => {
      const image = child(document, bundle, 'image');
      return image === undefined ? [] : ofNode(text, document, image);
    });
  }
  const isKustomization = kind === undefined || kind === 'Kustomization' || kind === 'Component';
  return isKustomization ? ofImages(text, document, child(document, object, 'images')) : [];
}

/** `images:` with `newTag`; Renovate keeps tag and digest together there: `newTag: v1@sha256:...`. */
function ofImages(text: string, document: Document, node: unknown): Found[] {
  const images = resolved(document, node);
  if (!isSeq(images)) return [];
  return images.items.flatMap((item) => {
    const tag = child(document, item, 'newTag');
    const name = textOf(document, child(document, item, 'newName') ?? child(document, item, 'name'));
    if (tag === undefined || name === undefined || child(document, item, 'digest') !== undefined) return [];
    return ofNode(text, document, tag).map(({ place, ...entry }) => ({
      ...entry,
      reference: `${name}:${entry.reference}`,
      ...(place && { place: { ...place, tagOnly: true } }),
    }));
  });
}

/** A scalar, or an alias of one: what stands where the alias leads to is for whoever wrote it to change. */
function ofNode(text: string, document: Document, node: unknown): Found[] {
  const value = textOf(document, node);
  const range = (node as Node | undefined)?.range;
  if (value === undefined || !range) return [];
  const reference = value.trim();
  const place = isScalar(node) ? placeIn(text, reference, range[0], range[1]) : undefined;
  return [{ reference, offset: place?.start ?? range[0], ...(place && { place }) }];
}

/** A string that is itself a function declaration or an object that we know. */
function isEmbedded(value: string): boolean {
  return /^[ \t]*(?:container|exec):/m.test(value) || /^kind: ImageBuilder\s*$/m.test(value);
}

/** References in YAML that is the value of a string. */
function embedded(text: string, node: Scalar, depth: number): Found[] {
  if (!node.range) return [];
  const [start, end] = node.range;
  const lines = [...text.slice(start, end).matchAll(IMAGE_LINE)].map((match): Found => {
    const from = start + match.index + (match[1]?.length ?? 0) + (match[2]?.length ?? 0);
    const reference = match[3] ?? '';
    return { reference, offset: from, place: { start: from, end: from + reference.length, tagOnly: false } };
  });
  // What is written otherwise: in braces, as a block, by an alias.
  const value = String(node.value);
  const inner = depth < DEEPEST ? findIn(value, depth + 1).map(({ reference }) => reference) : [];
  const others = new Set([...functionImages(value), ...inner]);
  for (const { reference } of lines) others.delete(reference);
  return [
    ...lines,
    ...[...others].map((reference): Found => {
      const place = placeIn(text, reference, start, end);
      return { reference, offset: place?.start ?? start, ...(place && { place }) };
    }),
  ];
}

/** `container.image` of a function declaration. */
function functionImages(value: string): string[] {
  return documentsOf(value).flatMap((document) => {
    const container = child(document, document.root, 'container');
    return textOf(document, child(document, container, 'image')) ?? [];
  });
}

/** Where a text stands between two offsets, if it stands there once, for itself. */
function placeIn(text: string, reference: string, start: number, end: number): Place | undefined {
  const isFree = (at: number) => at < start || at >= end || BOUNDARY.test(text[at] ?? ' ');
  const places: number[] = [];
  for (let at = text.indexOf(reference, start); at >= 0 && at < end; at = text.indexOf(reference, at + 1)) {
    if (isFree(at - 1) && isFree(at + reference.length)) places.push(at);
  }
  const [only] = places;
  if (places.length !== 1 || only === undefined || reference === '') return undefined;
  return { start: only, end: only + reference.length, tagOnly: false };
}

/** The value of a key, also one that is merged in (`<<`). */
function child(document: Document, node: unknown, key: string): unknown {
  const map = resolved(document, node);
  if (!isMap(map)) return undefined;
  const own = map.get(key, true);
  if (own !== undefined) return own;
  const merged = resolved(document, map.get('<<', true));
  const sources = isSeq(merged) ? merged.items : [merged];
  return sources
    .filter((source) => source !== undefined && source !== map)
    .map((source) => ownValue(document, source, key))
    .find((value) => value !== undefined);
}

function ownValue(document: Document, node: unknown, key: string): unknown {
  const map = resolved(document, node);
  return isMap(map) ? (map as YAMLMap).get(key, true) : undefined;
}

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? document.aliases.get(node) : node;
}

function textOf(document: Document, node: unknown): string | undefined {
  const scalar = resolved(document, node);
  return isScalar(scalar) && typeof scalar.value === 'string' ? scalar.value : undefined;
}
