// Which mirror of each repository is in use. A mirror that fails is given up for the rest of the attempt.
//
// apt has a method for lists of mirrors (apt-transport-mirror(1)); apt 2.6 goes on to the next one after a 404 or a
// broken transfer, but neither when nobody listens nor when a file has another hash, so it is not used.
import { ToolError } from '../../sandbox/tool-error.ts';
import type { ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { withoutCredentials } from '../../spec/variables/uri.ts';

/** The mirrors that repositories are fetched from during one attempt. */
export class Mirrors {
  readonly #repositories: readonly ResolvedRepository[];
  readonly #sources: Readonly<Record<string, readonly string[]>>;
  readonly #failed = new Set<string>();

  /** @param sources base URIs by name of the repository, best first; default: its own */
  constructor(
    repositories: readonly ResolvedRepository[],
    sources: Readonly<Record<string, readonly string[]>> = {},
  ) {
    this.#repositories = repositories;
    this.#sources = sources;
  }

  /** The repositories with the mirror in use as their source. */
  get repositories(): ResolvedRepository[] {
    return this.#repositories.map((repository) => ({
      ...repository,
      source: this.sourceOf(repository) ?? repository.source,
    }));
  }

  /** The mirror in use; undefined when all have failed. */
  sourceOf(repository: ResolvedRepository): string | undefined {
    return this.candidates(repository).find((source) => !this.#failed.has(source));
  }

  /** All mirrors of a repository, best first, without the logins that they may have. */
  candidates(repository: ResolvedRepository): readonly string[] {
    return (this.#sources[repository.name] ?? [repository.source]).map(withoutCredentials);
  }

  /**
   * Gives up the mirrors that apt complains of.
   * @returns those that are used instead; none when there is no other way to go on
   */
  giveUp(error: unknown): string[] {
    if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return [];
    const complaints = (error.output ?? []).filter((line) => /^(E|W|Err)[:\d]/.test(line));
    const blamed = this.#repositories.filter((repository) => {
      const source = this.sourceOf(repository);
      return source !== undefined && complaints.some((line) => mentions(line, source));
    });
    const replacements = blamed.map((repository) =>
      this.candidates(repository).find(
        (source) => source !== this.sourceOf(repository) && !this.#failed.has(source),
      ),
    );
    if (blamed.length === 0 || replacements.includes(undefined)) return [];
    for (const source of blamed.map((repository) => this.sourceOf(repository))) {
      if (source !== undefined) this.#failed.add(source);
    }
    return [...new Set(replacements.filter((source) => source !== undefined))];
  }

  /** Forgets what has failed. */
  reset(): void {
    this.#failed.clear();
  }
}

/** Whether apt speaks of a repository, and not of another one on the same mirror. */
export function mentionsRepository(line: string, { source, suite }: ResolvedRepository): boolean {
  const name = suite.replace(/\/$/, '');
  if (name === '' || name === '.') return mentions(line, source);
  return mentions(line, `${source} ${name}`) || mentions(line, `${source}/dists/${name}`);
}

/** Not when it is only the beginning of another: `.../debian` of `.../debian-security`. */
export function mentions(line: string, source: string): boolean {
  const at = line.indexOf(source);
  return at >= 0 && !/[\w.-]/.test(line[at + source.length] ?? '');
}
