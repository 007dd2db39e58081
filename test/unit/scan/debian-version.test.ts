// The order of Debian versions, by the examples of deb-version(7) and by what has gone wrong elsewhere.
import { compareDebianVersions } from '../../../image-builder/scan/debian-version.ts';

test.each([
  ['1.0', '1.0', 0],
  ['1.0', '1.0-0', 0],
  ['1.0', '0:1.0', 0],
  ['1.00', '1.0', 0],
  ['1.9', '1.10', -1],
  ['1.0', '1.0.0', -1],
  ['1.0~rc1', '1.0', -1],
  ['1.0~~', '1.0~', -1],
  ['1.0~~', '1.0~~a', -1],
  ['1.0~', '1.0', -1],
  ['1.0', '1.0a', -1],
  ['1.0a', '1.0+', -1],
  ['1.0+b1', '1.0-1', 1],
  ['2.0', '1:1.0', -1],
  ['1.0-1', '1.0-1+b1', -1],
  ['1.0-1', '1.0-1ubuntu1', -1],
  ['1.0-1ubuntu1', '1.0-2', -1],
  ['6.12.9-1', '6.12.10-1', -1],
  ['1.34.2-1.1', '1.34.10-1.1', -1],
  ['20250101000000000000000001', '20250101000000000000000002', -1],
  ['1.0-2-1', '1.0-10-1', -1],
  ['12.1-5', '12.1-5~deb12u1', 1],
  ['1:2.3-4', '1:2.3-4', 0],
])('%s and %s', (a, b, expected) => {
  expect(Math.sign(compareDebianVersions(a, b))).toBe(expected);
  expect(Math.sign(compareDebianVersions(b, a))).toBe(expected === 0 ? 0 : -expected);
});
