// The Jobs of the executor `kubernetes`: who sees which Secret, and how far they are confined.
import {
  jobName,
  requestSecret,
  secretOf,
  stageJob,
} from '../../../../image-builder/build/kubernetes/job-manifest.ts';

const executor = {
  image: 'registry.example.org/tools@sha256:0',
  registrySecret: 'registry',
  signingSecret: 'signing',
  nodeSelector: { pool: 'builders' },
  storage: { size: '20Gi' },
};
const stage = { kind: 'osconfig', name: 'osconfig', key: 'a'.repeat(64) };
const describe = (kind: string, privileges: 'none' | 'userNamespace' | 'privileged') => {
  const description = {
    name: jobName(stage),
    component: 'stage',
    annotations: {},
    executor,
    image: executor.image,
  };
  return stageJob(description, { ...stage, kind }, 'secret-1', privileges);
};
const containersOf = (kind: string) => {
  const { initContainers = [], containers = [] } = describe(kind, 'none').spec?.template.spec ?? {};
  return Object.fromEntries(
    [...initContainers, ...containers].map(({ name, volumeMounts = [] }) => [
      name,
      volumeMounts.map((mount) => mount.name),
    ]),
  );
};

test('programs of packages and scripts see neither credentials nor the signing key', () => {
  for (const kind of ['rootfs', 'osconfig', 'qcow', 'boot-test'])
    expect(containersOf(kind)).toEqual({
      fetch: ['work', 'request', 'registry'],
      build: ['work', 'request'],
      push: ['work', 'request', 'registry', 'signing'],
    });
});

test('stages that fetch container images log in, and never sign', () => {
  for (const kind of ['preload', 'bundle'])
    expect(containersOf(kind).build).toEqual(['work', 'request', 'registry']);
});

test('a Pod gets no token, and its name has room for what Kubernetes adds', () => {
  const job = describe('osconfig', 'none');
  expect(job.spec?.template.spec).toMatchObject({
    automountServiceAccountToken: false,
    nodeSelector: { pool: 'builders' },
  });
  expect(jobName({ kind: 'boot-test', key: 'a'.repeat(64) }).length).toBeLessThanOrEqual(57);
  expect(secretOf(job)).toBe('secret-1');
  expect(JSON.stringify(job.spec?.template.spec?.volumes)).toContain('"sizeLimit":"20Gi"');
});

test.each([
  ['none', undefined, { allowPrivilegeEscalation: false }],
  ['userNamespace', false, { procMount: 'Unmasked' }],
  ['privileged', undefined, { privileged: true }],
] as const)('privileges: %s', (privileges, hostUsers, securityContext) => {
  const pod = describe('osconfig', privileges).spec?.template.spec;
  expect(pod?.hostUsers).toBe(hostUsers);
  const [fetch, build] = pod?.initContainers ?? [];
  expect(build?.securityContext).toEqual(securityContext);
  for (const other of [fetch, pod?.containers[0]])
    expect(other?.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
});

test('the Secret goes with its Job', () => {
  const secret = requestSecret('secret-1', { name: 'job', uid: 'u' }, Buffer.from('x'));
  expect(secret.metadata?.ownerReferences).toEqual([
    { apiVersion: 'batch/v1', kind: 'Job', name: 'job', uid: 'u' },
  ]);
  expect(secret).toMatchObject({ immutable: true, data: { request: 'eA==' } });
});
