// A moment as manifests, statements and bills of materials state it.

/**
 * @param seconds since the epoch; a fraction is cut off
 * @returns the RFC 3339 time stamp in UTC, in whole seconds: `2026-11-27T21:00:00Z`
 */
export function timeStamp(seconds: number): string {
  return new Date(Math.floor(seconds) * 1000).toISOString().replace('.000Z', 'Z');
}
