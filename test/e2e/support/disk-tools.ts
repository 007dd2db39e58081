// Tools that look into a disk image or a file system.
import { execFileSync } from 'node:child_process';

/**
 * A tool's standard output; mtools without anybody's configuration and without its doubts about disks that are no
 * floppies.
 * @param encoding `latin1` keeps each byte
 */
export function runDiskTool(tool: string, args: readonly string[], encoding: BufferEncoding): string {
  return execFileSync(tool, args, {
    encoding,
    env: { ...process.env, MTOOLSRC: '/dev/null', MTOOLS_SKIP_CHECK: '1', TZ: 'UTC' },
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
