// A runtime with nothing left to wait for ends with status 0, whatever is still to be done: a forgotten answer would look
// like success, and to kustomize like an answer without items.
import { formatFinding } from './error.ts';
import { writeLine } from './standard-streams.ts';

/** Runs a program. A process that ends before the program has says so, and fails. */
export async function toTheEnd(program: () => Promise<void>): Promise<void> {
  // Not `exit`: whoever calls process.exit() knows what he does, as commander after --help.
  const onIdle = () => {
    process.exitCode = 1;
    const message = 'the program ended before it had finished; please report this';
    writeLine(formatFinding({ severity: 'error', message, tags: { code: 'UNEXPECTED' } }));
  };
  process.once('beforeExit', onIdle);
  await program();
  process.off('beforeExit', onIdle);
}
