// The wire format of KRM functions: a ResourceList on standard input, the same ResourceList with changes on standard
// output (https://github.com/kubernetes-sigs/kustomize/blob/master/cmd/config/docs/api-conventions/functions-spec.md).
//
// What we do not change must come back as it was: callers delete what is missing, and kpt writes what comes back into
// the user's files. So the list is parsed with the failsafe schema, where every scalar keeps its text.
import { Document, isMap, isSeq, Pair, parseAllDocuments, type YAMLMap, YAMLSeq } from 'yaml';
import { type Finding, ImageBuilderError } from '../../image-builder/base/diagnostics/error.ts';
import { describeDangling } from '../../image-builder/base/yaml/aliases.ts';
import { isEmpty, PARSE_OPTIONS, STRINGIFY_OPTIONS } from '../../image-builder/base/yaml/document.ts';
import { keyNode, readValue, toNode } from '../../image-builder/base/yaml/values.ts';
import {
  dropComments,
  hasIdAnnotation,
  identityOf,
  isAccountedFor,
  isItemOfPackage,
  setPathAndIndex,
  takeOverBookkeeping,
} from './items.ts';

export type ResourceListErrorCode =
  /** Standard input is empty. */
  | 'EMPTY_INPUT'
  /** Standard input is not valid YAML. */
  | 'INVALID_YAML'
  /** Standard input has more than one YAML document. */
  | 'SEVERAL_DOCUMENTS'
  /** The document is not a ResourceList, or is malformed. */
  | 'NOT_A_RESOURCE_LIST'
  /** This release does not support the version of the ResourceList. */
  | 'UNSUPPORTED_VERSION'
  /** The answer contains something that YAML cannot represent. */
  | 'UNWRITABLE';

/** The input of the function is not a ResourceList that it understands. */
export class ResourceListError extends ImageBuilderError<ResourceListErrorCode> {}

/** Versions of the wire format; the answer has the version of the question. */
const API_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'].map((version) => `config.kubernetes.io/${version}`);

/** The object that configures a run of the function. */
export interface FunctionConfig {
  apiVersion: string;
  kind: string;
  name: string;
  /** The whole object, with values by the core schema of YAML 1.2. */
  value: Record<string, unknown>;
}

/** What is known of the items of a list. */
interface ItemIndex {
  /** Position by identity. */
  positions: Map<string, number>;
  hasPackageItems: boolean;
}

/** A ResourceList. */
export class ResourceList {
  readonly #document: Document;
  readonly #root: YAMLMap;
  readonly #items: YAMLSeq;
  #known: ItemIndex | undefined;

  private constructor(document: Document, root: YAMLMap, items: YAMLSeq) {
    this.#document = document;
    this.#root = root;
    this.#items = items;
  }

  /** A list without items, for an answer to a question that could not be read. */
  static empty(): ResourceList {
    return ResourceList.parse(`apiVersion: ${API_VERSIONS[0]}\nkind: ResourceList\nitems: []\n`);
  }

  /**
   * Reads the text of a ResourceList.
   * @throws ResourceListError when the text is not exactly one YAML document with a ResourceList
   */
  static parse(text: string): ResourceList {
    const document = parseSingleDocument(text);
    const root: unknown = document.contents;
    const header = isMap(root) ? { kind: root.get('kind'), apiVersion: root.get('apiVersion') } : {};
    if (!isMap(root) || header.kind !== 'ResourceList') {
      const met = header.kind === undefined ? 'something without a kind' : `kind ${header.kind}`;
      throw new ResourceListError(
        'NOT_A_RESOURCE_LIST',
        `standard input contains ${met}, not a ResourceList`,
        {
          hint: 'run the function with kustomize or kpt, or standalone: image-builder-fn CONFIG.yaml [INPUT.yaml]',
        },
      );
    }
    if (!API_VERSIONS.includes(String(header.apiVersion))) {
      throw new ResourceListError(
        'UNSUPPORTED_VERSION',
        `apiVersion of the ResourceList is ${header.apiVersion ?? 'missing'}, expected one of ${API_VERSIONS.join(', ')}`,
      );
    }
    const items = root.get('items', true);
    if (!isSeq(items) && readValue(items, document) !== null) {
      throw new ResourceListError('NOT_A_RESOURCE_LIST', 'items of the ResourceList is not a list');
    }
    const list = isSeq(items) ? items : new YAMLSeq();
    for (const [index, item] of list.items.entries()) {
      if (isMap(item)) continue;
      throw new ResourceListError(
        'NOT_A_RESOURCE_LIST',
        `items[${index}] of the ResourceList is not an object`,
      );
    }
    if (!isSeq(items)) root.set('items', list);
    return new ResourceList(document, root, list);
  }

  /**
   * What configures this run; `undefined` when the list has none.
   * @throws ResourceListError when it is not an object with apiVersion, kind and metadata
   */
  get functionConfig(): FunctionConfig | undefined {
    const node = this.#root.get('functionConfig', true);
    if (!isMap(node)) {
      if (node === undefined || readValue(node, this.#document) === null) return undefined;
      throw new ResourceListError(
        'NOT_A_RESOURCE_LIST',
        'functionConfig of the ResourceList is not an object',
      );
    }
    return functionConfigOf(readValue(node, this.#document) as Record<string, unknown>);
  }

  /** The items as plain values, by the core schema of YAML 1.2. */
  readItems(): Record<string, unknown>[] {
    return this.#items.items.map((item) => readValue(item, this.#document) as Record<string, unknown>);
  }

  /** Adds an item as it is. */
  add(item: YAMLMap): void {
    this.#known = undefined;
    this.#items.add(item);
  }

  /**
   * Adds an object, or puts it in the place of the item with the same apiVersion, kind, namespace and name: so a
   * second run of a transformer, or of `kpt fn`, updates what the first one made.
   */
  upsert(object: YAMLMap): void {
    const { positions } = this.#index();
    const identity = identityOf(object);
    const index = positions.get(identity);
    if (index === undefined) {
      if (this.#index().hasPackageItems) setPathAndIndex(object);
      // `items: []`, as callers write a list without items, must not bring ours into one line.
      if (this.#items.items.length === 0) this.#items.flow = false;
      positions.set(identity, this.#items.items.length);
      this.#items.add(object);
      return;
    }
    takeOverBookkeeping(this.#items.items[index] as YAMLMap, object);
    this.#items.items[index] = object;
  }

  /** Where the items are, and whether some are of a kpt package; looked up once, for lists of thousands. */
  #index(): ItemIndex {
    if (this.#known) return this.#known;
    const items = [...this.#items.items.entries()].filter((entry): entry is [number, YAMLMap] =>
      isMap(entry[1]),
    );
    this.#known = {
      // Of two items of one identity the first is replaced.
      positions: new Map(items.reverse().map(([position, item]) => [identityOf(item), position])),
      hasPackageItems: items.some(([, item]) => isItemOfPackage(item)),
    };
    return this.#known;
  }

  /**
   * Whether the caller keeps account of the items, as kustomize and kpt do: it deletes what does not come back.
   */
  get isAccountedFor(): boolean {
    return this.#items.items.some((item) => isMap(item) && isAccountedFor(item));
  }

  /** Removes all items. */
  clear(): void {
    this.#known = undefined;
    this.#items.items = [];
  }

  /** Adds the findings of this run to `results`, where functions before this one may have put theirs. */
  report(findings: readonly Finding[], config?: FunctionConfig): void {
    if (findings.length === 0) return;
    const results = findings.map((finding) => toNode(toResult(finding, config)));
    const earlier = this.#root.get('results', true);
    if (isSeq(earlier)) {
      if (earlier.items.length === 0) earlier.flow = this.#root.flow ?? false;
      earlier.items.push(...results);
      return;
    }
    const list = new YAMLSeq();
    list.items = results;
    this.#root.delete('results');
    this.#root.items.push(new Pair(keyNode('results'), list));
  }

  /**
   * The text of the list: one YAML document.
   * @throws ResourceListError when an item cannot be written
   */
  toString(): string {
    for (const [index, item] of this.#items.items.entries()) {
      // Callers that mark items by ids put the comments back on their own; ours would come out twice.
      if (!isMap(item) || !hasIdAnnotation(item)) continue;
      dropComments(item);
      // The parser takes what is above the first item for a comment on the list.
      if (index === 0) delete this.#items.commentBefore;
    }
    return write(this.#document);
  }

  /** The text of the items: one YAML document each, as standalone runs and legacy plugins answer. */
  itemsToString(): string {
    return this.#items.items
      .map((item) => {
        const document = new Document(undefined, PARSE_OPTIONS);
        document.contents = item as typeof document.contents;
        return write(document);
      })
      .join('---\n');
  }
}

/** The identity of an object that configures the function, with the object itself. */
export function functionConfigOf(value: Record<string, unknown>): FunctionConfig {
  const metadata = (value.metadata ?? {}) as Record<string, unknown>;
  const text = (field: unknown) => (typeof field === 'string' ? field : '');
  return { apiVersion: text(value.apiVersion), kind: text(value.kind), name: text(metadata.name), value };
}

function parseSingleDocument(text: string): Document {
  if (text.trim() === '') {
    throw new ResourceListError('EMPTY_INPUT', 'standard input is empty, expected a ResourceList', {
      hint: 'run the function with kustomize or kpt; see image-builder-fn --help',
    });
  }
  const control = CONTROL_CHARACTER.exec(text);
  if (control) {
    const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
    const line = text.slice(0, control.index).split('\n').length;
    throw new ResourceListError(
      'INVALID_YAML',
      `standard input is not valid YAML: it contains the character U+${code} at line ${line}, which YAML allows only as an escape in double quotes`,
    );
  }
  const parsed = parseAllDocuments(text, PARSE_OPTIONS) as Document[];
  for (const document of parsed) {
    const problem =
      document.errors[0]?.message ?? (text.includes('*') ? describeDangling(document) : undefined);
    if (problem) throw new ResourceListError('INVALID_YAML', `standard input is not valid YAML: ${problem}`);
  }
  // Writers that end each document by `---` leave one without contents at the end.
  const [document, ...others] = parsed.filter((each) => !isEmpty(each));
  if (document === undefined) {
    throw new ResourceListError('EMPTY_INPUT', 'standard input contains no YAML document');
  }
  if (others.length > 0) {
    throw new ResourceListError(
      'SEVERAL_DOCUMENTS',
      `standard input contains ${1 + others.length} YAML documents, expected one ResourceList`,
    );
  }
  return document;
}

/** What YAML does not have in a text (1.2, 5.1), or has as a line break in some of its versions only. */
const CONTROL_CHARACTER = /[^\t\n\r\x20-\uffff]|\r(?!\n)/;

function write(document: Document): string {
  try {
    return document.toString(STRINGIFY_OPTIONS);
  } catch (error) {
    throw new ResourceListError(
      'UNWRITABLE',
      `the items cannot be written as YAML: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** A finding as a result of the KRM functions specification. */
function toResult(finding: Finding, config: FunctionConfig | undefined): Record<string, unknown> {
  return {
    message: finding.message,
    severity: finding.severity,
    resourceRef: config && { apiVersion: config.apiVersion, kind: config.kind, name: config.name },
    field: finding.field === undefined ? undefined : { path: finding.field },
    file: finding.file === undefined ? undefined : { path: finding.file },
    tags: finding.tags,
  };
}
