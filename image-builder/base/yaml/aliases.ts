// What aliases stand for. The library walks the whole document for each alias; here it is walked once for all of them.
import type { Alias, Document, Node } from 'yaml';
import { isAlias, isNode, visit } from 'yaml';

/** Targets by alias, of documents that have been looked at. */
const known = new WeakMap<Document, Map<Alias, Node | undefined>>();

/** The node that an alias stands for: the last one before it with that anchor; undefined when there is none. */
export function aliasTarget(alias: Alias, document: Document): Node | undefined {
  const targets = known.get(document);
  return targets?.has(alias) ? targets.get(alias) : findTargets(document).get(alias);
}

/** What is wrong with the first alias that stands for nothing; the parser does not look. */
export function describeDangling(document: Document): string | undefined {
  for (const [alias, target] of findTargets(document)) {
    if (target === undefined) return `the alias *${alias.source} has no anchor`;
  }
  return undefined;
}

function findTargets(document: Document): Map<Alias, Node | undefined> {
  const targets = new Map<Alias, Node | undefined>();
  const anchors = new Map<string, Node>();
  visit(document, (_key, node) => {
    if (isAlias(node)) targets.set(node, anchors.get(node.source));
    else if (isNode(node) && node.anchor) anchors.set(node.anchor, node);
  });
  known.set(document, targets);
  return targets;
}
