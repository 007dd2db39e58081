// Finds the name that somebody probably meant.

/** The candidate that `name` is a misspelling of; undefined when none is close. */
export function similarName(name: string, candidates: readonly string[]): string | undefined {
  const squeezed = squeeze(name);
  const same = candidates.find((candidate) => squeeze(candidate) === squeezed);
  if (same !== undefined) return same;
  const limit = Math.max(1, Math.floor(name.length / 3));
  const [best] = candidates
    // Of tens of thousands most are no candidates for their length alone.
    .filter((candidate) => Math.abs(candidate.length - name.length) <= limit)
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** Without what naming conventions differ in: `partEnd`, `part-end` and `part_end` are one. */
function squeeze(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '');
}

/** Damerau-Levenshtein distance with adjacent transpositions (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = a[row - 1] === b[column - 1] ? 0 : 1;
      let distance = Math.min(
        at(previous, column) + 1,
        at(current, column - 1) + 1,
        at(previous, column - 1) + substitution,
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) distance = Math.min(distance, at(beforePrevious, column - 2) + 1);
      current.push(distance);
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
