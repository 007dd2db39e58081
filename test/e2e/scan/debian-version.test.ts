// The order of versions against dpkg's own.
import { execFileSync } from 'node:child_process';
import { compareDebianVersions } from '../../../image-builder/scan/debian-version.ts';

/** Pieces that versions are made of, the odd ones more often than in real life. */
const PIECES = [
  '0',
  '1',
  '2',
  '9',
  '10',
  '00',
  '007',
  '1.0',
  '.',
  '~',
  '~~',
  '+',
  'a',
  'b',
  'Z',
  '-',
  'rc',
  'deb12u1',
];

test('thousands of pairs', () => {
  let seed = 42;
  const next = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed % below;
  };
  const version = () => {
    const text = Array.from({ length: 1 + next(5) }, () => PIECES[next(PIECES.length)]).join('');
    const upstream = `${next(10)}${text}`.replace(/-+$/, '');
    return next(4) === 0 ? `${next(3)}:${upstream}` : upstream;
  };
  const pairs = Array.from({ length: 3000 }, () => [version(), version()] as const);
  // One shell for all: a line for each pair.
  const script =
    'while read -r a b; do if dpkg --compare-versions "$a" lt "$b"; then echo -1; elif dpkg --compare-versions "$a" gt "$b"; then echo 1; else echo 0; fi; done';
  const input = pairs.map((pair) => `${pair.join(' ')}\n`).join('');
  const expected = execFileSync('sh', ['-c', script], { input, encoding: 'utf8' }).trim().split('\n');
  const wrong = pairs.filter(
    ([a, b], index) => `${Math.sign(compareDebianVersions(a, b)) + 0}` !== expected[index],
  );
  expect(wrong).toEqual([]);
  expect(new Set(expected)).toEqual(new Set(['-1', '0', '1']));
});
