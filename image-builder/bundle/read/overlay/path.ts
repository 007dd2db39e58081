// Paths inside images: without a leading slash, cleaned, never above the root. The root itself is ''.

/** A path of a tar entry or a user, as the image's root sees it: `./a//b/../c` and `/a/c` are `a/c`, `../x` is `x`. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') parts.pop();
    else parts.push(part);
  }
  return parts.join('/');
}

/** The directory of a clean path; '' for what lies in the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** The last component of a clean path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** Where a symbolic link at `path` points to, before any further link on the way is followed. */
export function linkDestination(path: string, target: string): string {
  return cleanPath(target.startsWith('/') ? target : `${parentOf(path)}/${target}`);
}

/** Whether `path` is `directory` or lies below it. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

/** A key that sorts paths as a walk through sorted directories meets them. */
export function walkKey(path: string): string {
  return path.replaceAll('/', '\0');
}
