// Small damages to valid inputs: most of what a parser gets wrong is close to what it gets right.
import type { Random } from './random.ts';

/** What JSON of others has where one does not expect it. */
const ODD_VALUES: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER + 2, '', ' ', '\0', '__proto__', '\ud800'],
  ...[{}, [], [[]], { a: 1 }, `sha256:${'0'.repeat(64)}`, '../../etc/passwd', 'x'.repeat(5000)],
];
const ODD_KEYS = [
  '__proto__',
  'constructor',
  'toString',
  'mediaType',
  'size',
  'digest',
  'annotations',
  'data',
];

/** `value` with parts left out, doubled, or replaced. */
export function mutateJson(random: Random, value: unknown): unknown {
  if (random.once(9)) return random.pick(ODD_VALUES);
  if (Array.isArray(value)) {
    const items = value.map((item) => mutateJson(random, item));
    if (random.once(5)) items.push(random.pick(ODD_VALUES));
    if (random.once(6)) items.splice(random.below(items.length + 1), 1);
    return random.once(9) ? [...items, ...items] : items;
  }
  if (typeof value !== 'object' || value === null) {
    return random.once(6) ? random.pick(ODD_VALUES) : value;
  }
  const entries = Object.entries(value)
    .filter(() => !random.once(14))
    .map(([key, item]) => [
      random.once(20) ? random.pick(ODD_KEYS) : key,
      random.below(3) > 0 ? item : mutateJson(random, item),
    ]);
  if (random.once(8)) entries.push([random.pick(ODD_KEYS), random.pick(ODD_VALUES)]);
  return Object.fromEntries(entries);
}

/** `text` with characters and pieces removed, repeated, or put in. */
export function mutateText(random: Random, text: string, alphabet: string): string {
  const characters = [...text];
  const letters = [...alphabet];
  for (let left = random.below(6); left >= 0; left--) {
    const at = random.below(characters.length + 1);
    const kind = random.below(4);
    if (kind === 0) characters.splice(at, 1 + random.below(4));
    else if (kind === 1) characters.splice(at, 0, random.pick(letters));
    else if (kind === 2) {
      const from = random.below(characters.length + 1);
      characters.splice(at, 0, ...characters.slice(from, from + random.below(60)));
    } else characters[at] = random.pick(letters);
  }
  return characters.slice(0, 8000).join('');
}

/** `bytes` with some of them changed, cut off, or repeated. */
export function mutateBytes(random: Random, bytes: Buffer): Buffer {
  let mutated = Buffer.from(bytes);
  for (let left = random.below(8); left > 0; left--) {
    const at = random.below(mutated.length);
    const kind = random.below(8);
    if (kind === 0) mutated = mutated.subarray(0, at);
    else if (kind === 1) mutated = Buffer.concat([mutated, mutated.subarray(0, at)]).subarray(0, 1 << 20);
    else if (mutated.length > 0) mutated[at] = random.below(256);
  }
  return mutated;
}
