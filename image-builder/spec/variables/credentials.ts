// Variables without the credentials that their URLs may carry: for whatever is written down or shown. What is fetched does
// not depend on who fetches it.
import type { ResolvedRepository } from './resolved-multistrap.ts';
import type { ResolvedOsconfig } from './resolved-osconfig.ts';
import { withoutCredentials } from './uri.ts';

/** A mirror behind a password has it in its address. */
export function repositoryWithoutCredentials<
  Repository extends Pick<ResolvedRepository, 'source' | 'keyring_url'>,
>(repository: Repository): Repository {
  const { source, keyring_url } = repository;
  return {
    ...repository,
    source: withoutCredentials(source),
    ...(keyring_url !== undefined && { keyring_url: withoutCredentials(keyring_url) }),
  };
}

/** The variables themselves when there are none: images share them, and hashing knows an object again. */
export function osconfigWithoutCredentials<Osconfig extends Pick<ResolvedOsconfig, 'fetch_from_url'>>(
  osconfig: Osconfig,
): Osconfig {
  const stripped = osconfig.fetch_from_url.map((item) => ({ ...item, url: withoutCredentials(item.url) }));
  const isSame = stripped.every(({ url }, index) => url === osconfig.fetch_from_url[index]?.url);
  return isSame ? osconfig : { ...osconfig, fetch_from_url: stripped };
}
