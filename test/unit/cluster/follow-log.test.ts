// Lines of a log that comes by several connections.
import { LinesSeen } from '../../../image-builder/cluster/follow-log.ts';

const take = (seen: LinesSeen, lines: readonly string[]) => {
  seen.begin();
  return lines.map((line) => seen.take(line)).filter((line) => line !== undefined);
};

test('what a connection repeats is given once, also where several lines have one time', () => {
  const seen = new LinesSeen();
  expect(seen.since()).toBeUndefined();
  expect(
    take(seen, ['2026-11-27T21:00:01.5Z one', '2026-11-27T21:00:02.1Z two', '2026-11-27T21:00:02.1Z two']),
  ).toEqual(['one', 'two', 'two']);
  expect(seen.since()).toBe('2026-11-27T21:00:02.1Z');
  // The server starts at a second, and writes times with as many decimals as it likes.
  const again = [
    '2026-11-27T21:00:02.100000000Z two',
    '2026-11-27T21:00:02.1Z two',
    '2026-11-27T21:00:02.1Z three',
  ];
  expect(take(seen, [...again, '2026-11-27T21:00:02.11Z four'])).toEqual(['three', 'four']);
});

test('a clock that is set back on the node loses no line', () => {
  const seen = new LinesSeen();
  expect(
    take(seen, ['2026-11-27T21:00:05Z one', '2026-11-27T20:00:00Z two', '2026-11-27T20:00:01Z three']),
  ).toEqual(['one', 'two', 'three']);
});

test('lines without a time, and empty ones, are lines', () => {
  expect(take(new LinesSeen(), ['2026-11-27T21:00:05Z ', 'unable to retrieve container logs'])).toEqual([
    '',
    'unable to retrieve container logs',
  ]);
});
