// Lists of packages as people write them. Pure.

/**
 * Each name once: of a list, or of text with white space or commas between the names, as a template gives it that was
 * rendered.
 */
export function packageList(given: unknown): string[] {
  const names = Array.isArray(given) ? given.map(String) : String(given ?? '').split(/[\s,]+/);
  return [...new Set(names.map((name) => name.trim()).filter((name) => name !== ''))];
}
