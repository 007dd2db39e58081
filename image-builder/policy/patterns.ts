// Patterns of a policy: repositories and builder images.

/**
 * Whether a repository (`registry.example.org/site/store`) is what a pattern says: the same, or below it where the
 * pattern ends in `/*`; `*` alone is every repository. Nothing else is special.
 */
export function matchesRepository(pattern: string, repository: string): boolean {
  if (pattern === '*') return true;
  const [wanted, given] = [canonical(pattern), canonical(repository)];
  if (wanted.endsWith('/*')) return given.startsWith(wanted.slice(0, -1));
  return wanted === given;
}

/**
 * Whether a builder image is what a pattern says: its repository, whatever tag and digest, or exactly this digest of it
 * (`registry.example.org/builder@sha256:...`).
 */
export function matchesImage(pattern: string, image: string): boolean {
  if (pattern === '*') return true;
  const wanted = splitImage(pattern);
  const given = splitImage(image);
  if (wanted.digest !== undefined && wanted.digest !== given.digest) return false;
  return matchesRepository(wanted.repository, given.repository);
}

/** The parts of a reference; the tag is none of them, since it says nothing about what is behind it. */
export function splitImage(image: string): { repository: string; digest?: string } {
  const [name = '', digest] = image.split('@', 2);
  const repository = name.replace(/:[^:/]+$/, '');
  return digest === undefined ? { repository } : { repository, digest };
}

/** Docker Hub has three spellings. */
function canonical(repository: string): string {
  const full = /^(?:[^/]*[.:][^/]*|localhost)\//.test(repository) ? repository : `docker.io/${repository}`;
  return full.replace(/^(?:index\.docker\.io|docker\.io)\/(?:library\/)?/, 'docker.io/');
}
