// URIs with logins: of repositories, keys and downloads. Pure.

/** The URI without its user and password. */
export function withoutCredentials(uri: string): string {
  return uri.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1');
}

/** The user and password of a URI, decoded (RFC 3986, 3.2.1); undefined when it has none. */
export function loginOf(uri: string): { username: string; password: string } | undefined {
  const login = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)@/i.exec(uri)?.[1];
  if (login === undefined) return undefined;
  const [username = '', ...password] = login.split(':');
  return { username: decode(username), password: decode(password.join(':')) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
