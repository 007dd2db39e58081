// Whom the control plane runs as: nobody who owns anything, and never longer than its test.
import { randomInt } from 'node:crypto';
import { chown } from 'node:fs/promises';

/** Ids that systemd sets aside for services without an account (https://systemd.io/UIDS-GIDS/). */
const FIRST_ID = 61184;
const LAST_ID = 65519;

/** How processes are started that end with this one, without the rights of root. */
export interface PrivateUser {
  /** What a command begins with. */
  prefix: readonly string[];
  /** Makes it the owner of a directory. */
  own(directory: string): Promise<void>;
}

/** The user of this process, or one of its own where that is root. */
export function privateUser(uid = process.getuid?.()): PrivateUser {
  // Also when this process is killed, which leaves it no time to end others.
  const prefix = ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs'];
  if (uid !== 0) return { prefix: [...prefix, '--'], own: async () => {} };
  const id = randomInt(FIRST_ID, LAST_ID + 1);
  const drop = [`--reuid=${id}`, `--regid=${id}`, '--clear-groups', '--'];
  return { prefix: [...prefix, ...drop], own: (directory) => chown(directory, id, id) };
}
