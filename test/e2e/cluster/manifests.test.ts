// What manifests/kubernetes makes of a real cluster: who may do what in the namespace of builds, and what its Pods may.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type CommandResult, startCluster, type TestCluster } from '../support/cluster/cluster.ts';

const root = join(__dirname, '../../..');
const NAMESPACE = 'image-builder';

describe('the namespace of builds', () => {
  let cluster: TestCluster;
  /** Of the account that starts builds. */
  let kubeconfig: string;

  const render = (path: string) =>
    execFileSync(join(root, '.cache/bin/kustomize'), ['build', path], {
      cwd: root,
      encoding: 'utf8',
    });

  beforeAll(async () => {
    cluster = await startCluster();
    const input = render('manifests/kubernetes');
    await cluster.kubectl(['apply', '--server-side', '--filename', '-'], { input });
    kubeconfig = await cluster.kubeconfigOf({ namespace: NAMESPACE, name: 'image-builder' });
  });

  afterAll(() => cluster?.stop());

  const asAccount = (args: readonly string[], input?: object, namespace = NAMESPACE) =>
    cluster.kubectl([...args, '--namespace', namespace], {
      kubeconfig,
      mayFail: true,
      ...(input && { input }),
    });

  const container = { name: 'main', image: 'registry.example.org/tools@sha256:0' };
  const job = (spec: object = {}, main: object = {}) => ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'stage' },
    spec: {
      suspend: true,
      template: { spec: { restartPolicy: 'Never', containers: [{ ...container, ...main }], ...spec } },
    },
  });
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'build' } };

  it('lets its account start, follow and remove Jobs', async () => {
    const create = ['create', '--filename', '-'];
    expect(await asAccount(create, job())).toMatchObject({ status: 0 });
    expect(await asAccount(create, secret)).toMatchObject({ status: 0 });
    for (const args of [
      ['get', 'job', 'stage'],
      ['get', 'jobs,pods,events'],
      ['patch', 'job', 'stage', '--type=merge', '--patch={"spec":{"suspend":true}}'],
      ['delete', 'job', 'stage', '--wait=false'],
    ])
      expect(await asAccount(args)).toMatchObject({ status: 0 });
  });

  it.each([
    ['read a Secret', ['get', 'secret', 'build']],
    ['list Secrets', ['get', 'secrets']],
    ['remove a Secret', ['delete', 'secret', 'build']],
    ['run a command in a Pod', ['auth', 'can-i', 'create', 'pods/exec']],
    ['start a Pod', ['run', 'mine', '--image=registry.example.org/tools']],
    ['read a ConfigMap', ['get', 'configmaps']],
    ['give itself more', ['create', 'rolebinding', 'more', '--clusterrole=admin', '--user=me']],
  ])('does not let its account %s', async (_what, args) => {
    expect(refusal(await asAccount(args))).toMatch(
      /^no$|is forbidden: User "system:serviceaccount:image-builder:/m,
    );
  });

  it('does not let its account do anything elsewhere', async () => {
    const created = await asAccount(['create', '--filename', '-'], job(), 'default');
    expect(refusal(created)).toContain(
      'cannot create resource "jobs" in API group "batch" in the namespace "default"',
    );
    expect(refusal(await asAccount(['get', 'nodes']))).toContain('cannot list resource "nodes"');
  });

  it('admits Pods within Pod Security "baseline", among them those with a user namespace', async () => {
    const dryRun = ['create', '--dry-run=server', '--filename', '-'];
    const pod = (spec: object, securityContext: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stage', namespace: NAMESPACE },
      spec: { ...spec, containers: [{ ...container, securityContext }] },
    });
    const admitted = (input: object) => cluster.kubectl(dryRun, { input, mayFail: true });
    expect(await admitted(pod({}, {}))).toMatchObject({ status: 0, stderr: '' });
    const unmasked = pod({ hostUsers: false }, { procMount: 'Unmasked' });
    expect(await admitted(unmasked)).toMatchObject({ status: 0, stderr: '' });
    const privileged = pod({}, { privileged: true });
    expect(refusal(await admitted(privileged))).toContain(
      'violates PodSecurity "baseline:latest": privileged',
    );
    const [namespace = ''] = render('test/e2e/cluster/privileged').split('---');
    await cluster.kubectl(['apply', '--server-side', '--filename', '-'], { input: namespace });
    expect(await admitted(privileged)).toMatchObject({ status: 0, stderr: '' });
  });

  it('gives containers what the quota wants of them', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'stage', namespace: NAMESPACE },
      spec: { containers: [container] },
    };
    const made = await cluster.kubectl(['create', '--dry-run=server', '--output=json', '--filename', '-'], {
      input: pod,
    });
    expect(JSON.parse(made.stdout).spec.containers[0].resources.requests).toEqual({
      cpu: '1',
      memory: '2Gi',
      'ephemeral-storage': '10Gi',
    });
  });
});

function refusal({ status, stdout, stderr }: CommandResult): string {
  expect(status).not.toBe(0);
  return `${stdout}${stderr}`;
}
