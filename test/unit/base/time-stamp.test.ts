import { timeStamp } from '../../../image-builder/base/time-stamp.ts';

test.each([
  [0, '1970-01-01T00:00:00Z'],
  [1_795_813_200, '2026-11-27T21:00:00Z'],
  // Clocks give fractions.
  [1_795_813_200.999, '2026-11-27T21:00:00Z'],
])('%s seconds since the epoch are %s', (seconds, expected) => {
  expect(timeStamp(seconds)).toBe(expected);
});
