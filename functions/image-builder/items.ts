// Items of a ResourceList as YAML nodes: who they are, and the annotations by which callers keep track of them.
import type { Node } from 'yaml';
import { isMap, isScalar, Pair, visit, YAMLMap } from 'yaml';
import { keyNode, keyText, stringNode } from '../../image-builder/base/yaml/values.ts';

/** Annotations that hold the id by which kyaml finds an item again after the function has run. */
const ID_ANNOTATIONS = new Set([
  'config.kubernetes.io/id',
  'config.k8s.io/id',
  'internal.config.kubernetes.io/id',
]);

/** Annotations by which kustomize and kpt know an item of theirs again. */
const ACCOUNT = new Set(['kustomize.config.k8s.io/id', 'internal.config.kubernetes.io/path']);

/** Annotations that belong to the caller's bookkeeping of an item, not to the object. */
const BOOKKEEPING =
  /^(?:internal\.config\.kubernetes\.io\/|config\.kubernetes\.io\/(?:index|path|id)$|config\.k8s\.io\/id$|kustomize\.config\.k8s\.io\/)/;

/** What makes an object of Kubernetes the same as another: apiVersion, kind, namespace and name. */
export function identityOf(item: YAMLMap): string {
  const fields = [['apiVersion'], ['kind'], ['metadata', 'namespace'], ['metadata', 'name']];
  return JSON.stringify(fields.map((path) => textAt(item, path)));
}

/** The text at a path; empty when there is none. */
export function textAt(node: YAMLMap, path: string[]): string {
  const value = node.getIn(path, true);
  return isScalar(value) ? String(value.value ?? '') : '';
}

/** The annotations of an item; undefined when it has none. */
function annotationsOf(item: YAMLMap): YAMLMap | undefined {
  const annotations = item.getIn(['metadata', 'annotations'], true);
  return isMap(annotations) ? annotations : undefined;
}

/** Whether the caller marked the item with an id of its own. */
export function hasIdAnnotation(item: YAMLMap): boolean {
  return annotationsOf(item)?.items.some(({ key }) => ID_ANNOTATIONS.has(keyText(key))) ?? false;
}

/** Whether the item comes from a file of a kpt package; items in kustomize have its own id. */
export function isItemOfPackage(item: YAMLMap): boolean {
  const names = annotationsOf(item)?.items.map(({ key }) => keyText(key)) ?? [];
  return (
    names.includes('internal.config.kubernetes.io/path') && !names.includes('kustomize.config.k8s.io/id')
  );
}

/** Whether kustomize or kpt has noted where the item belongs. */
export function isAccountedFor(item: YAMLMap): boolean {
  return annotationsOf(item)?.items.some(({ key }) => ACCOUNT.has(keyText(key))) ?? false;
}

/** The file that an object is from, when the caller has noted it in its `metadata`. */
export function fileOf(metadata: unknown): string | undefined {
  const { annotations } = (metadata ?? {}) as { annotations?: Record<string, unknown> };
  return ['internal.config.kubernetes.io/path', 'config.kubernetes.io/path']
    .map((annotation) => annotations?.[annotation])
    .find((path): path is string => typeof path === 'string' && path !== '');
}

/** Gives a new item a file of its own: kpt refuses two items at the same path and index. */
export function setPathAndIndex(item: YAMLMap): void {
  const name = `${textAt(item, ['kind']).toLowerCase()}_${textAt(item, ['metadata', 'name'])}`;
  // A name may be anything in a header, a file's name may not.
  const path = `${name.replace(/[^\w.-]/g, '-')}.yaml`;
  for (const prefix of ['config.kubernetes.io', 'internal.config.kubernetes.io']) {
    setAnnotation(item, `${prefix}/path`, stringNode(path));
    setAnnotation(item, `${prefix}/index`, stringNode('0'));
  }
}

/** Copies the caller's bookkeeping from the item that is replaced to its replacement. */
export function takeOverBookkeeping(from: YAMLMap, to: YAMLMap): void {
  const kept = annotationsOf(from)?.items.filter(({ key }) => BOOKKEEPING.test(keyText(key))) ?? [];
  for (const { key, value } of kept) setAnnotation(to, keyText(key), value as Node);
}

/** Sets an annotation. */
export function setAnnotation(item: YAMLMap, name: string, value: Node): void {
  const metadata = childMap(item, 'metadata');
  const annotations = childMap(metadata, 'annotations');
  annotations.items = annotations.items.filter(({ key }) => keyText(key) !== name);
  annotations.items.push(new Pair(keyNode(name), value));
}

function childMap(parent: YAMLMap, name: string): YAMLMap {
  const existing = parent.get(name, true);
  if (isMap(existing)) return existing;
  const map = new YAMLMap();
  parent.set(keyNode(name), map);
  return map;
}

/** Removes all comments of an item. */
export function dropComments(item: YAMLMap): void {
  const strip = (node: Node) => {
    delete node.comment;
    delete node.commentBefore;
    delete node.spaceBefore;
  };
  visit(item, { Node: (_key, node) => strip(node) });
}
