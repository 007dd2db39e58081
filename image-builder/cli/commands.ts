// The commands of the command line. Their modules load the engine only when they run.
import type { Command } from 'commander';
import { register as registerCopy } from './commands/copy.ts';
import { register as registerDoctor } from './commands/doctor.ts';
import { register as registerExtract } from './commands/extract.ts';
import { register as registerFn } from './commands/fn.ts';
import { register as registerInspect } from './commands/inspect.ts';
import { register as registerInstallPlugin } from './commands/install-plugin.ts';
import { register as registerPin } from './commands/pin.ts';
import { register as registerSchema } from './commands/schema.ts';

/** Adds a command to the program. */
export type Register = (program: Command) => void;

/** In the order in which the help lists them. */
export const COMMANDS: readonly Register[] = [
  registerFn,
  registerExtract,
  registerPin,
  registerInspect,
  registerCopy,
  registerSchema,
  registerInstallPlugin,
  registerDoctor,
];
