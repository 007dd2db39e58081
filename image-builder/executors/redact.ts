// Keeps credentials out of whatever is shown: proxies and repositories may carry them in their URLs.

/** `scheme://user:password@host` becomes `scheme://***@host`. */
export function redactCredentials(text: string): string {
  // No scheme is that long; without a limit, each letter of a line without any would begin a search through all of it.
  return text.replace(/([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/]*@/gi, '$1***@');
}
