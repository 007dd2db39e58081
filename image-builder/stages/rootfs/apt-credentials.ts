// Logins of repositories, which mirrors may have in their URLs, for apt in a file of its own: so they are in no list of
// sources, no argument, no message and no image. Pure.

/** apt_auth.conf(5) with the logins of these URIs; empty when there are none. */
export function renderAuth(uris: readonly string[]): string {
  const entries = uris.flatMap((uri) => {
    const [, scheme, login = '', place] = /^([a-z][a-z0-9+.-]*:\/\/)([^/?#]*)@([^?#]*)/i.exec(uri) ?? [];
    if (scheme === undefined) return [];
    const [user = '', ...password] = login.split(':');
    const words = [user, password.join(':')].map(decode);
    // White space ends a word there, and nothing quotes it.
    if (words.some((word) => /\s/.test(word))) return [];
    return [`machine ${scheme}${place} login ${words[0]} password ${words[1]}\n`];
  });
  return [...new Set(entries)].join('');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
