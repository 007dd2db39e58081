// Paths of an image that nothing can be put at: they are created by each node, or emptied when the image is finished.
// Pure.
import { posix } from 'node:path';

const VANISHING: readonly [RegExp, string][] = [
  [
    /^\/(run|var\/run|var\/lock)(\/|$)/,
    'is in memory, which is empty at every boot; create it by /etc/tmpfiles.d',
  ],
  [/^\/(dev|proc|sys)(\/|$)/, 'is in a file system of the kernel'],
  [
    /^\/(tmp|var\/tmp)\//,
    'is emptied when the image is finished; for files that only scripts need, use fetch_from_url without dest',
  ],
  [/^\/(etc|var\/lib\/dbus)\/machine-id$/, 'is created by each node at its first boot'],
  [/^\/etc\/ssh\/ssh_host_/, "is created by each node; cloud-init can set a node's own keys (ssh_keys)"],
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
