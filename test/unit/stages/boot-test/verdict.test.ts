import { GuestReport } from '../../../../image-builder/stages/boot-test/guest-tests.ts';
import { judge } from '../../../../image-builder/stages/boot-test/verdict.ts';

const tests = [
  { name: 'sysctl a', script: 'x', timeoutSeconds: 5, expected: '1' },
  { name: 'slow', script: 'x', timeoutSeconds: 5 },
  { name: 'kubeadm', script: 'x', timeoutSeconds: 5 },
  { name: 'lost', script: 'x', timeoutSeconds: 5 },
];
const reportOf = (...results: { name: string; status: number | null; output: string }[]) => {
  const report = new GuestReport(tests);
  for (const result of results) report.write(`${JSON.stringify({ event: 'end', seconds: 1, ...result })}\n`);
  return report;
};

test('each test that is not met is told with what was expected and met', () => {
  const report = reportOf(
    { name: 'sysctl a', status: 0, output: '0\n' },
    { name: 'slow', status: null, output: 'waiting\n' },
    { name: 'kubeadm', status: 1, output: 'first\n\nerror: no\n' },
  );
  expect(() => judge(report, 'console')).toThrow(
    expect.objectContaining({
      code: 'TESTS_FAILED',
      message: expect.stringContaining('4 of 4 tests inside of it failed: sysctl a, slow, kubeadm, lost'),
      evidence: { console: 'console' },
      output: [
        'sysctl a: expected "1", met "0"',
        ...['waiting', 'slow: had not ended after 5 s'],
        ...['first', 'error: no', 'kubeadm: exit status 1'],
        'lost: it did not run',
      ],
    }),
  );
});

test('what a node does in a cluster counts as what is inside of it', () => {
  const report = reportOf(
    { name: 'sysctl a', status: 0, output: '1\n' },
    ...['slow', 'kubeadm', 'lost'].map((name) => ({ name, status: 0, output: '' })),
  );
  const ready = { name: 'Ready', isMet: true, status: 0, seconds: 1, output: '' };
  const log = { name: 'log', isMet: false, status: 0, seconds: 2, output: 'there\n' };
  const asked = { script: '', timeoutSeconds: 9 };
  const unmet = [
    { ...asked, ...log, expected: 'here' },
    { ...asked, name: 'drain' },
  ];
  const results = [ready, log];
  expect(() => judge(report, 'console', { results, unmet })).toThrow(
    expect.objectContaining({
      message: expect.stringContaining('2 of 7 tests inside of it failed: log, drain'),
      output: ['log: expected "here", met "there"', 'drain: it did not run'],
    }),
  );
  expect(judge(report, 'console', { results: [ready], unmet: [] }).results).toHaveLength(5);
});

test('when all are met, the results are the verdict', () => {
  const report = reportOf(
    { name: 'sysctl a', status: 0, output: '1\n' },
    ...['slow', 'kubeadm', 'lost'].map((name) => ({ name, status: 0, output: '' })),
  );
  expect(judge(report, '').results).toHaveLength(4);
});
