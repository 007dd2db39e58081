// Keeps credentials out of whatever is shown or written down: proxies, mirrors and repositories may carry them in their URLs.

// Longer than any scheme. Without a limit, each letter of a line that has none would start a search through the whole line.
const CREDENTIALS = /([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/]*@/gi;

/** `scheme://user:password@host` becomes `scheme://***@host`. */
export function redactCredentials(text: string): string {
  return text.replace(CREDENTIALS, '$1***@');
}
