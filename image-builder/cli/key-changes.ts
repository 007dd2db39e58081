// How `plan` and `history` show why a stage has another key than before.
import type { Reasons } from '../build/explain.ts';
import { changeLine } from '../compare/text.ts';

/** One line for each change that enters at the stage; for a stage that has none of its own, where they come from. */
export function describeReasons({ changes, follows }: Reasons): string[] {
  if (changes.length > 0) return changes.map((change) => changeLine(change));
  return follows.length > 0 ? [`follows from ${follows.join(', ')}`] : ['the pipeline itself has changed'];
}
