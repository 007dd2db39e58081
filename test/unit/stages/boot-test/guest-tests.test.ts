import { GuestReport } from '../../../../image-builder/stages/boot-test/guest-tests.ts';
import { kubernetesTests, warningsIn } from '../../../../image-builder/stages/boot-test/kubernetes-tests.ts';

const tests = ['one', 'two'].map((name) => ({ name, script: 'true', timeoutSeconds: 5 }));
const lines = (...messages: unknown[]) => messages.map((message) => `${JSON.stringify(message)}\n`).join('');
const end = (name: string, status: number | null) => ({
  event: 'end',
  name,
  status,
  seconds: 1.5,
  output: 'said',
});

test('a report tells the state of the node, and of each test how it ended', () => {
  const report = new GuestReport(tests);
  const text = lines(
    { event: 'started', state: 'degraded', failedUnits: ['x.service'] },
    { event: 'begin', name: 'one' },
    end('one', 0),
    { event: 'begin', name: 'two' },
    end('two', null),
    { event: 'complete' },
  );
  // However it arrives.
  for (const character of text) report.write(character);
  expect(report.isComplete).toBe(true);
  expect(report.node).toEqual({ state: 'degraded', failedUnits: ['x.service'] });
  expect(report.results).toEqual([
    { name: 'one', isMet: true, status: 0, seconds: 1.5, output: 'said' },
    { name: 'two', isMet: false, seconds: 1.5, output: 'said' },
  ]);
  expect(report.unmet).toMatchObject([{ name: 'two', timeoutSeconds: 5 }]);
});

test('what a report leaves out is not met, whatever else it says', () => {
  const report = new GuestReport(tests);
  report.write(lines({ event: 'complete' }, null, 7, [], { event: 'end' }, end('three', 0)));
  report.write('no JSON\n');
  expect(report.results).toEqual([]);
  expect(report.unmet.map(({ name }) => name)).toEqual(['one', 'two']);
});

test('what a test prints is compared with what is expected, but for white space around it', () => {
  const report = new GuestReport([
    { name: 'one', script: 'x', timeoutSeconds: 1, expected: 'said' },
    { name: 'two', script: 'x', timeoutSeconds: 1, expected: '' },
  ]);
  report.write(lines({ ...end('one', 0), output: 'said\n' }, end('two', 0)));
  expect(report.unmet).toMatchObject([{ name: 'two', expected: '', output: 'said' }]);
});

test('a report is met when the machine has said all, and all is met', () => {
  const report = new GuestReport(tests);
  report.write(lines(end('one', 0), end('two', 0)));
  expect(report.isMet).toBe(false);
  report.write(lines({ event: 'complete' }));
  expect(report.isMet).toBe(true);
  const other = new GuestReport(tests);
  other.write(lines(end('one', 0), { event: 'complete' }));
  expect(other.isMet).toBe(false);
});

test('of each test the first result counts', () => {
  const report = new GuestReport(tests);
  report.write(lines(end('one', 1), ...Array.from({ length: 1000 }, () => end('one', 0))));
  expect(report.results).toMatchObject([{ name: 'one', isMet: false, status: 1 }]);
});

test('a machine that has reported is asked more, which is no part of its report', async () => {
  const report = new GuestReport(tests);
  report.write(lines(end('one', 0), end('two', 0), { event: 'complete' }));
  const answer = report.answerTo({ name: 'get nodes', script: 'x', timeoutSeconds: 5 });
  report.write(lines(end('one', 1), { ...end('get nodes', 3), output: 'a\u001b[2Jb' }, end('get nodes', 0)));
  expect(await answer).toEqual({
    name: 'get nodes',
    isMet: false,
    status: 3,
    seconds: 1.5,
    output: 'a[2Jb',
  });
  expect(report.results.map(({ name, isMet }) => [name, isMet])).toEqual([
    ['one', true],
    ['two', true],
  ]);
});

test('what an image says moves no cursor', () => {
  const report = new GuestReport(tests);
  report.write(
    lines({ event: 'begin', name: '\u001b[2J' }, { ...end('one', 0), output: 'a\u001b[2Jb\r\n\tc' }),
  );
  expect(report.results[0]?.output).toBe('a[2Jb\n\tc');
  expect(report.progress).toBe('no test had begun');
});

test('a line without an end takes no memory', () => {
  const report = new GuestReport(tests);
  for (let count = 0; count < 40; count++) report.write('x'.repeat(1 << 20));
  report.write(`\n${lines(end('one', 0))}`);
  expect(report.results).toHaveLength(1);
});

test('the machine that did not get to the end is told by what it was at', () => {
  const report = new GuestReport(tests);
  expect(report.progress).toBe('no test had begun');
  report.write(
    lines({ event: 'started', state: 'running', failedUnits: [] }, { event: 'begin', name: 'one' }),
  );
  expect(report.progress).toBe('one was running');
  report.write(lines(end('one', 0)));
  expect(report.progress).toBe('1 of 2 had ended');
});

test('warnings of kubeadm, but for those of the virtual machine', () => {
  const output =
    '[preflight] Running\n\t[WARNING Swap]: swap is on\nother [WARNING x]\n\t[WARNING NumCPU]: 1\n';
  expect(warningsIn(output)).toEqual(['[WARNING Swap]: swap is on']);
  for (const proof of ['preflight', 'join'] as const) {
    const names = kubernetesTests(proof).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  }
});
