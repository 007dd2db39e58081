// Paths of an image that nothing can be put at: they are made anew by each node, or emptied when the image is finished.
// Pure.
import { posix } from 'node:path';

const VANISHING: readonly [RegExp, string][] = [
  [
    /^\/(run|var\/run|var\/lock)(\/|$)/,
    'lies in memory, which is empty at every boot; let /etc/tmpfiles.d make it',
  ],
  [/^\/(dev|proc|sys)(\/|$)/, 'lies in a file system of the kernel'],
  [
    /^\/(tmp|var\/tmp)\//,
    'is emptied when the image is finished; what only scripts need can come by fetch_from_url without dest',
  ],
  [/^\/(etc|var\/lib\/dbus)\/machine-id$/, 'is made anew by each node at its first boot'],
  [/^\/etc\/ssh\/ssh_host_/, "is made anew by each node; cloud-init sets a node's own keys (ssh_keys)"],
  [
    /^\/var\/lib\/(apt\/lists|systemd\/random-seed|systemd\/credential\.secret)(\/|$)/,
    'is emptied when the image is finished',
  ],
  [/^\/var\/cache\/apt\//, 'is emptied when the image is finished'],
];

/** Logs are emptied, their directories stay. */
const LOGS = /^\/var\/log\//;

/** Why what is put at `path` is not in the image; undefined when it is. */
export function vanishes(path: string, kind: 'file' | 'directory'): string | undefined {
  const normal = posix.normalize(path);
  const reason = VANISHING.find(([pattern]) => pattern.test(normal))?.[1];
  return (
    reason ??
    (kind === 'file' && LOGS.test(normal)
      ? 'is a log, which is emptied when the image is finished'
      : undefined)
  );
}
