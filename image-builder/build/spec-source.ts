// How a person would build on the command line what a render was asked for. Pure.

/** Where a spec comes from, as far as the caller knows. */
export interface SpecSource {
  /** Name of the object. */
  name: string;
  /** Its file; absent when the caller was given the object alone. */
  file?: string;
  /** Directory of the store, when it is not the default one. */
  store?: string;
}

/** The command that builds the spec and waits for the result. */
export function formatBuildCommand({ name, file, store }: SpecSource): string {
  const words = ['image-builder', 'build', file ?? `<file of ${name}>`, '--when-missing', 'Build'];
  if (store !== undefined) words.push('--store', store);
  return words.map(quote).join(' ');
}

/** A word as sh takes it; a placeholder stays readable. */
function quote(word: string): string {
  if (/^[\w./:@%+=,-]+$/.test(word) || /^<.*>$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}
