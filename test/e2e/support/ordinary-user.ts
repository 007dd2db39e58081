// Runs a TypeScript program as an ordinary user, or with the capabilities of a container, from a root test run.
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

/** The first user with subordinate ids, who can therefore have a user namespace; undefined when there is none. */
export function ordinaryUser(): { name: string; uid: number; gid: number } | undefined {
  for (const line of readFileSync('/etc/subuid', 'utf8').split('\n')) {
    const name = line.split(':')[0];
    if (!name || name === 'root') continue;
    const entry = spawnSync('getent', ['passwd', name], { encoding: 'utf8' }).stdout.split(':');
    const [uid, gid] = [Number(entry[2]), Number(entry[3])];
    if (uid > 0) return { name, uid, gid };
  }
  return undefined;
}

/** Bundles `program` into `directory` and runs it there as `user`; throws with its standard error when it fails. */
export const runAs = (
  user: { name: string; uid: number; gid: number },
  program: string,
  args: readonly string[],
  directory: string,
): Promise<void> =>
  runBundled([`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups'], program, args, directory);

/** What container engines grant by default. */
const CAPABILITIES = [
  ...['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'net_bind_service'],
  ...['net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap'],
];

/** The same as root that may not mount. */
export function runWithoutMounts(program: string, args: readonly string[], directory: string): Promise<void> {
  const set = ['-all', ...CAPABILITIES.map((name) => `+${name}`)].join(',');
  return runBundled([`--inh-caps=${set}`, `--bounding-set=${set}`], program, args, directory);
}

/** @param privileges options of setpriv(1) */
async function runBundled(
  privileges: readonly string[],
  program: string,
  args: readonly string[],
  directory: string,
): Promise<void> {
  const outfile = join(directory, 'program.cjs');
  const root = join(__dirname, '../../..');
  await build({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { __dirname: JSON.stringify(join(root, 'image-builder/embedded')) },
    logLevel: 'error',
  });
  chmodSync(outfile, 0o644);
  // Not the synchronous form: servers of the test go on answering.
  await promisify(execFile)('setpriv', [...privileges, process.execPath, outfile, ...args], {
    cwd: directory,
    env: { PATH: process.env.PATH, HOME: directory },
  });
}
