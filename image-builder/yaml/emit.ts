// Writes objects as YAML for people and for other tools.
import { Document } from 'yaml';
import { STRINGIFY_OPTIONS, toNode } from './values.ts';

/** One document for each object; strings that some YAML reader would take for another type are quoted. */
export function emitDocuments(objects: readonly unknown[]): string {
  return objects
    .map((object) => {
      const document = new Document(undefined, { schema: 'failsafe' });
      document.contents = toNode(object) as typeof document.contents;
      return document.toString(STRINGIFY_OPTIONS);
    })
    .join('---\n');
}
