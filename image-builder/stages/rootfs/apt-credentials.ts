// Logins of repositories, which mirrors may have in their URLs, for apt in a file of its own: so they are in no list of
// sources, no argument, no message and no image. Pure.
import { loginOf, withoutCredentials } from '../../spec/variables/uri.ts';

/** apt_auth.conf(5) with the logins of these URIs; empty when there are none. */
export function renderAuth(uris: readonly string[]): string {
  const entries = uris.flatMap((uri) => {
    const login = loginOf(uri);
    if (login === undefined) return [];
    const { username, password } = login;
    // White space ends a word there, and nothing quotes it.
    if (/\s/.test(username + password)) return [];
    const place = withoutCredentials(uri).replace(/[?#].*/s, '');
    return [`machine ${place} login ${username} password ${password}\n`];
  });
  return [...new Set(entries)].join('');
}
