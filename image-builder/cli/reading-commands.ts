// The commands that read published images: people and pipelines run them often, so that they must start at once.

import { register as registerCopy } from './commands/copy.ts';
import { register as registerExtract } from './commands/extract.ts';
import { register as registerInspect } from './commands/inspect.ts';
import { register as registerPin } from './commands/pin.ts';
import type { Register } from './commands.ts';

/** By the name of the command. */
export const READING_COMMANDS: ReadonlyMap<string, Register> = new Map([
  ['extract', registerExtract],
  ['inspect', registerInspect],
  ['copy', registerCopy],
  ['pin', registerPin],
]);
