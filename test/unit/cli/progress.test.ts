import type { ProgressEvent } from '../../../image-builder/base/diagnostics/progress.ts';
import {
  formatBytes,
  formatSeconds,
  jsonReporter,
  plainReporter,
} from '../../../image-builder/base/diagnostics/render.ts';
import { LiveDisplay } from '../../../image-builder/cli/live-display.ts';

const EVENTS: ProgressEvent[] = [
  { type: 'stage', stage: 'rootfs', status: 'started' },
  { type: 'step', stage: 'rootfs', message: 'installing 195 packages' },
  { type: 'bytes', stage: 'rootfs', done: 1 << 20, total: 3 << 20 },
  { type: 'output', stage: 'rootfs', line: 'Unpacking zstd' },
  { type: 'stage', stage: 'rootfs', status: 'finished', seconds: 41.26 },
  { type: 'stage', stage: 'osconfig', status: 'cached', seconds: 0.04 },
  { type: 'stage', stage: 'qcow/a', status: 'failed', seconds: 185 },
];

function lines(verbose: boolean): string[] {
  const written: string[] = [];
  const report = plainReporter((line) => written.push(line), { verbose });
  for (const event of EVENTS) report(event);
  return written;
}

test('plain lines', () => {
  const expected = [
    'rootfs: started',
    'rootfs: installing 195 packages',
    'rootfs: finished (41s)',
    'osconfig: cached (0.0s)',
    'qcow/a: failed (3m05s)',
  ];
  expect(lines(false)).toEqual(expected);
  expect(lines(true)).toEqual([...expected.slice(0, 2), 'rootfs | Unpacking zstd', ...expected.slice(2)]);
});

test('lines of JSON, all events, with the time', () => {
  const written: string[] = [];
  const report = jsonReporter((line) => written.push(line));
  for (const event of EVENTS) report(event);
  expect(written.map((line) => JSON.parse(line))).toEqual(
    EVENTS.map((event) => ({ time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), ...event })),
  );
});

test.each([
  [0.04, '0.0s'],
  [9.96, '10.0s'],
  [59.4, '59s'],
  [119.7, '2m00s'],
  [3600, '60m00s'],
])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [2.5 * 2 ** 30, '2.5 GiB'],
  [2 ** 60, '1048576.0 TiB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

describe('the live display', () => {
  let written: string;
  let now: number;
  let display: LiveDisplay;
  const terminal = { columns: 40, write: (text: string) => (written += text) };
  /** What the terminal shows: a line that was cleared is gone. */
  const screen = () =>
    written
      .split('\n')
      .map((line) => line.slice(line.lastIndexOf('\u001b[2K') + (line.includes('\u001b[2K') ? 4 : 0)));

  beforeEach(() => {
    written = '';
    now = 0;
    display = new LiveDisplay(terminal, {}, () => now);
  });
  afterEach(() => display.close());

  test('one line for what is going on, one for what is over', () => {
    for (const event of EVENTS.slice(0, 3)) display.show(event);
    now = 12_000;
    display.show(EVENTS[2] as ProgressEvent);
    expect(screen()).toEqual(['rootfs  12s  1.0 MiB of 3.0 MiB  installing 195 packages'.slice(0, 39)]);
    display.show(EVENTS[3] as ProgressEvent);
    expect(screen()[0]).toContain('rootfs  12s');
    display.show(EVENTS[4] as ProgressEvent);
    expect(screen()).toEqual(['rootfs: finished (41s)', '']);
  });

  test('several stages at a time', () => {
    display.show({ type: 'stage', stage: 'a', status: 'started' });
    display.show({ type: 'stage', stage: 'b', status: 'waiting' });
    expect(screen()).toEqual(['b (+1 more)  0.0s  waiting']);
    display.show({ type: 'stage', stage: 'b', status: 'finished', seconds: 1 });
    expect(screen()).toEqual(['b: finished (1.0s)', 'a  0.0s']);
  });

  test('a tool cannot move the cursor, a long line does not wrap', () => {
    display.show({ type: 'step', stage: 'a', message: `\u001b[2Jevil\r\n${'x'.repeat(100)}` });
    const [line] = screen();
    expect(line).toHaveLength(39);
    expect([...(line ?? '')].every((character) => character >= ' ')).toBe(true);
  });

  test('nothing is left after the end', () => {
    display.show(EVENTS[0] as ProgressEvent);
    display.close();
    expect(screen()).toEqual(['']);
  });
});
