// Finds references to bundles in YAML files, with their places in the text, so that they can be rewritten without
// touching anything else: comments, quotes and indentation stay as they are.

import { isMap, isScalar, isSeq, parseAllDocuments, type Scalar, visit } from 'yaml';

/** A reference in a file. Offsets are in UTF-16 units of the text. */
export interface FoundReference {
  /** The reference as written; for `newTag` the image's name with the tag. */
  reference: string;
  /** The text to be replaced: the reference, or only the tag of a `newTag`. */
  start: number;
  end: number;
  /** 1-based. */
  line: number;
  /** The replaced text is only a tag. */
  tagOnly: boolean;
}

/** An `image:` line of YAML within a string: annotations and inline functions. */
const IMAGE_LINE = /^([ \t]*(?:-[ \t]+)?image:[ \t]*)(["']?)([^\s"'#]+)\2/gm;

/**
 * References in: `spec.bundle.image` of ImageBuilder objects; the `image:` of function declarations (annotation
 * `config.kubernetes.io/function`); ImageBuilder objects and functions written inline in a kustomization; and the
 * `images:` of a kustomization (`newTag`).
 */
export function findReferences(text: string): FoundReference[] {
  const found: Omit<FoundReference, 'line'>[] = [];
  for (const document of parseAllDocuments(text, { schema: 'failsafe' })) {
    if (!('contents' in document) || document.errors.length > 0) continue;
    const kind = document.get('kind');
    if (kind === 'ImageBuilder') {
      const node = document.getIn(['spec', 'bundle', 'image'], true);
      if (isScalar(node)) found.push(...ofScalar(node));
    }
    if (kind === undefined || kind === 'Kustomization' || kind === 'Component')
      found.push(...ofKustomization(document.get('images')));
    visit(document, {
      Scalar(_, node) {
        if (typeof node.value !== 'string' || !isEmbedded(node.value) || !node.range) return;
        found.push(...embedded(text, node.range[0], node.range[1]));
      },
    });
  }
  return found
    .map((entry) => ({ ...entry, line: text.slice(0, entry.start).split('\n').length }))
    .sort((a, b) => a.start - b.start);
}

/** A string that is itself a function declaration or an object that we know. */
function isEmbedded(value: string): boolean {
  return /^\s*(?:container|exec):/m.test(value) || /^kind: ImageBuilder\s*$/m.test(value);
}

function embedded(text: string, start: number, end: number): Omit<FoundReference, 'line'>[] {
  return [...text.slice(start, end).matchAll(IMAGE_LINE)].map((match) => {
    const from = start + match.index + (match[1]?.length ?? 0) + (match[2]?.length ?? 0);
    const reference = match[3] ?? '';
    return { reference, start: from, end: from + reference.length, tagOnly: false };
  });
}

function ofScalar(node: Scalar): Omit<FoundReference, 'line'>[] {
  if (typeof node.value !== 'string' || !node.range || node.type?.startsWith('BLOCK')) return [];
  const quotes = node.type?.startsWith('QUOTE') ? 1 : 0;
  return [
    { reference: node.value, start: node.range[0] + quotes, end: node.range[1] - quotes, tagOnly: false },
  ];
}

/** `images:` with `newTag`; Renovate keeps tag and digest together there: `newTag: v1@sha256:...`. */
function ofKustomization(images: unknown): Omit<FoundReference, 'line'>[] {
  if (!isSeq(images)) return [];
  return images.items.flatMap((item) => {
    if (!isMap(item) || item.has('digest')) return [];
    const tag = item.get('newTag', true);
    const name = item.get('newName') ?? item.get('name');
    if (!isScalar(tag) || typeof name !== 'string') return [];
    return ofScalar(tag as Scalar).map((entry) => ({
      ...entry,
      reference: `${name}:${entry.reference}`,
      tagOnly: true,
    }));
  });
}
