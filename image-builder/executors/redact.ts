// Keeps credentials out of whatever is shown: proxies and repositories may carry them in their URLs.

/** `scheme://user:password@host` becomes `scheme://***@host`. */
export function redactCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, '$1***@');
}
