// Finds the directory that the caller of contract v2 has mounted for the results.

/**
 * Mount points directly below `/`, sorted by name, from the text of /proc/self/mountinfo (proc(5)).
 * The engine's own mounts (/proc, /sys, /dev) are left out, and files such as /etc/hosts lie deeper.
 */
export function rootLevelMounts(mountinfo: string): string[] {
  const mounts = mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
    .filter((path) => /^\/[^/]+$/.test(path) && !['/proc', '/sys', '/dev', '/tmp', '/run'].includes(path));
  return [...new Set(mounts)].sort();
}
