// Error numbers of failed system calls.

/** The error number of a failed system call (`ENOENT`), if that is what was thrown. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('errno' in error) || !('code' in error))
    return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
