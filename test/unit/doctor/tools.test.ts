import { checkControlPlane, checkTools } from '../../../image-builder/doctor/tools.ts';

test('each purpose whose tools are missing is named, with the packages that bring them', () => {
  const findings = checkTools(['/nowhere']);
  expect(findings[1]).toEqual({
    severity: 'warning',
    message: expect.stringMatching(/\bsfdisk\b.* for QCOWs not found: apt-get install .*\bfdisk\b/),
    tags: { code: 'TOOL_MISSING' },
  });
  expect(findings.filter(({ tags }) => tags?.outcome === 'ok')).toEqual([]);
  expect(findings.map(({ severity }) => severity)).toEqual([
    ...['warning', 'warning', 'warning', 'info', 'info', 'info', 'info'],
  ]);
});

test('a control plane is named by its programs, and where to get them', () => {
  const { severity, message } = checkControlPlane(['/nowhere']);
  expect(severity).toBe('info');
  expect(message).toMatch(/^etcd, kube-apiserver, .* not found: .* IMAGE_BUILDER_CONTROL_PLANE$/);
});
