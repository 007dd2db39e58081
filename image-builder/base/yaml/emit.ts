// Writes objects as YAML for people and for other tools.
import { Document } from 'yaml';
import { PARSE_OPTIONS, STRINGIFY_OPTIONS } from './document.ts';
import { toNode } from './values.ts';

/** One document for each object; strings that some YAML reader would take for another type are quoted. */
export function emitDocuments(objects: readonly unknown[]): string {
  return objects
    .map((object) => {
      const document = new Document(undefined, PARSE_OPTIONS);
      document.contents = toNode(object) as typeof document.contents;
      return document.toString(STRINGIFY_OPTIONS);
    })
    .join('---\n');
}
