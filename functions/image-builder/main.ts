// Entry point of `image-builder-fn`.
import { runFunction } from './command.ts';

void runFunction(process.argv.slice(2));
