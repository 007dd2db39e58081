// What may happen to Jobs, to their cluster and to their caller, on a real cluster: the build goes on, or ends with the reason, and
// nothing is left. The builds wait for a mirror that never answers; whole-build.test.ts has faults of builds that end.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type BuildingCluster, NAMESPACE, startBuildingCluster } from '../support/cluster/building.ts';
import { processes } from '../support/cluster/cluster.ts';
import { eventually, type Running } from '../support/contained-build.ts';

const STAGES = '--selector=app.kubernetes.io/component=stage';
/** What the program in a Pod says before it waits for the mirror. */
const AT_WORK = 'rootfs: fetch the package lists';

interface Rule {
  group: string;
  resource: string;
  verb: string;
}

/** One verb of one resource each. */
const RULES: Rule[] = parse(
  readFileSync(join(__dirname, '../../../manifests/kubernetes/role.yaml'), 'utf8'),
).rules.flatMap(
  ({ apiGroups, resources, verbs }: { apiGroups: string[]; resources: string[]; verbs: string[] }) =>
    resources.flatMap((resource) => verbs.map((verb) => ({ group: apiGroups[0] ?? '', resource, verb }))),
);

/** Environment of a program whose clock is another. */
function clockOf(FAKETIME: string): NodeJS.ProcessEnv {
  const architecture = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const LD_PRELOAD = `/usr/lib/${architecture}-linux-gnu/faketime/libfaketime.so.1`;
  return { LD_PRELOAD, FAKETIME, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}

/** What a build does without, until it is stopped. */
const LATER = new Set(['get pods/log', 'patch jobs', 'delete jobs']);

function ruleOf(what: string): Rule {
  const rule = RULES.find(({ verb, resource }) => `${verb} ${resource}` === what);
  if (!rule) throw new Error(`the Role does not have ${what}`);
  return rule;
}

let site: BuildingCluster;

beforeAll(async () => {
  site = await startBuildingCluster();
});

/** Builds of the test that runs. */
let begun: Running[] = [];

function begin(...build: Parameters<BuildingCluster['begin']>): Running {
  const running = site.begin(...build);
  begun.push(running);
  return running;
}

afterEach(async () => {
  // Those of a test that has failed.
  const left = begun.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  begun = [];
  for (const { child } of left) child.kill('SIGKILL');
  if (left.length > 0) await removeJobs();
  await eventually(() => site.isClean());
});

afterAll(() => site?.stop());

/** Waits until the build is at work in so many Pods, one after the other. */
async function works(build: Running, pods: number): Promise<void> {
  await eventually(async () => {
    const [, ...parts] = build.said().split(/runs in the Pod ib-rootfs-/);
    expect(parts).toHaveLength(pods);
    expect(parts.at(-1)).toContain(AT_WORK);
  });
}

/** Stops a build that would go on, as Ctrl-C does. */
async function stop(build: Running): Promise<void> {
  build.child.kill('SIGINT');
  expect((await build.exited).status).toBe(130);
}

/** Removes the Jobs that have failed: they stay for whoever looks into them. */
const removeJobs = () => site.kubectl('delete', 'jobs', STAGES);

describe('the Pod', () => {
  test('is replaced when somebody deletes it', async () => {
    const build = begin(site.written('pod-deleted'));
    await works(build, 1);
    await site.kubectl('delete', 'pods', STAGES, '--wait=false');
    await works(build, 2);
    await stop(build);
  });

  test('is replaced when its node is drained, as soon as a node takes it', async () => {
    const build = begin(site.written('drained'));
    await works(build, 1);
    await site.kubectl(
      'drain',
      'node',
      `--pod-${STAGES.slice(2)}`,
      '--delete-emptydir-data',
      '--timeout=60s',
    );
    try {
      await build.prints('no node takes the Pod: 0/1 nodes are available: 1 node(s) were unschedulable');
      expect(build.said()).toMatch(/Pod ib-rootfs-\S+ was evicted: .*(?:evict|Eviction)/);
    } finally {
      await site.kubectl('uncordon', 'node');
    }
    await works(build, 2);
    await stop(build);
  });

  test('is not replaced when a program of it is killed, which could be for want of memory', async () => {
    const build = begin(site.written('killed'));
    await works(build, 1);
    // The program that is root of the user namespace, and the one that has made that.
    for (const id of processes(
      (command) => command.includes('run-job') && command.includes('build-confined'),
    ))
      process.kill(id, 'SIGKILL');
    const { status, stderr } = await build.exited;
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /ended with exit status 137[\s\S]*killed: by somebody, or because memory ran out/,
      ),
    ]);
    await removeJobs();
  });

  test('that runs out of memory is told with its limit', async () => {
    const resources = { limits: { memory: '40Mi' } };
    const { status, stderr } = await site.build(site.written('memory', { resources }));
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/ran out of memory \(limit 40Mi\)[\s\S]*POD_OUT_OF_MEMORY/),
    ]);
    await removeJobs();
  });

  test('that no node takes is told while it is waited for', async () => {
    const build = begin(site.written('unscheduled', { nodeSelector: { pool: 'none' } }));
    await build.prints("didn't match Pod's node affinity/selector");
    await stop(build);
  });

  test('whose image cannot be pulled ends the build with what the registry says', async () => {
    const image = site.image.replace(/@.*/, `@sha256:${'0'.repeat(64)}`);
    const began = performance.now();
    const { status, stderr } = await site.build(site.written('no-image', { image }));
    // The kubelet fails again and again, in other words.
    expect(performance.now() - began).toBeLessThan(60_000);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/the image \S+ cannot be pulled: [\s\S]*not found[\s\S]*POD_NOT_STARTED/),
    ]);
  });
});

describe('the cluster', () => {
  test('whose API server is killed is waited for, and heard again', async () => {
    const build = begin(site.written('api-server'));
    await works(build, 1);
    site.cluster.killApiServer();
    await build.prints('the API server does not answer');
    await eventually(() => site.kubectl('get', 'jobs').then(() => undefined));
    // It is watched again: of the next Pod is heard.
    await site.kubectl('delete', 'pods', STAGES, '--wait=false');
    await works(build, 2);
    await stop(build);
  });

  test('whose quota of Pods is exhausted is waited for', async () => {
    await site.kubectl('create', 'quota', 'none', '--hard=pods=0');
    const build = begin(site.written('quota'));
    try {
      await build.prints('no Pod can be made for now: ');
      expect(build.said()).toContain('exceeded quota: none');
    } finally {
      await site.kubectl('delete', 'quota', 'none');
    }
    await works(build, 1);
    await stop(build);
  });

  test('whose quota of Jobs is exhausted refuses the next', async () => {
    await site.kubectl('create', 'quota', 'none', '--hard=count/jobs.batch=0');
    const used = () => site.kubectl('get', 'quota', 'none', '--output=jsonpath={.status.hard}');
    try {
      await eventually(async () => expect(await used()).toContain('count/jobs.batch'));
      const { status, stderr } = await site.build(site.written('job-quota'));
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/exceeded quota: none[\s\S]*CLUSTER_REFUSED/),
      ]);
    } finally {
      await site.kubectl('delete', 'quota', 'none');
    }
  });

  describe('in which a Role lacks a rule', () => {
    const caller = { namespace: NAMESPACE, name: 'caller' };
    let account: string;

    beforeAll(async () => {
      await site.kubectl('create', 'serviceaccount', 'caller');
      await site.kubectl(
        'create',
        'rolebinding',
        'caller',
        '--role=caller',
        `--serviceaccount=${NAMESPACE}:caller`,
      );
      account = await site.cluster.kubeconfigOf(caller);
    });

    /** Gives the account all rules but one, and begins a build with it. */
    async function beginWithout(lacked: Rule): Promise<Running> {
      const rules = RULES.filter((rule) => rule !== lacked).map(({ group, resource, verb }) => ({
        ...{ apiGroups: [group], resources: [resource], verbs: [verb] },
      }));
      const role = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata: caller, rules };
      await site.cluster.kubectl(['apply', '--filename=-'], { input: role });
      const [resource, subresource = ''] = lacked.resource.split('/');
      const asked = [lacked.verb, `${resource}.${lacked.group}`, `--subresource=${subresource}`];
      await eventually(async () => {
        const options = { kubeconfig: account, mayFail: true };
        const canI = ['auth', 'can-i', `--namespace=${NAMESPACE}`, ...asked];
        expect((await site.cluster.kubectl(canI, options)).stdout).toBe('no\n');
      });
      return begin(site.written('role'), { environment: { KUBECONFIG: account } });
    }

    test.each(RULES.filter((rule) => !LATER.has(`${rule.verb} ${rule.resource}`)))(
      'the rule is named: $verb $resource',
      async (rule) => {
        const { group, resource, verb } = rule;
        const { status, stderr } = await (await beginWithout(rule)).exited;
        const named = `needs the rule {apiGroups: ["${group}"], resources: [${resource}], verbs: [${verb}]}`;
        expect([status, stderr]).toEqual([1, expect.stringContaining(named)]);
      },
    );

    test('the build goes on without the log of its Pod', async () => {
      const build = await beginWithout(ruleOf('get pods/log'));
      await build.prints('cannot get resource "pods/log"');
      await stop(build);
    });

    test.each(['patch jobs', 'delete jobs'])('a Job that cannot be taken back is named: %s', async (what) => {
      const build = await beginWithout(ruleOf(what));
      await works(build, 1);
      await stop(build);
      const [verb] = what.split(' ');
      expect(build.said()).toMatch(
        new RegExp(`the Job ib-rootfs-\\S+ may be left in the cluster: .* cannot ${verb} resource "jobs"`),
      );
      await removeJobs();
    });
  });

  test.each(['+3h', '-20s'])('has a clock that is not the one of the caller: %s', async (offset) => {
    const build = begin(site.written('clock'), { environment: clockOf(offset) });
    await works(build, 1);
    await site.kubectl('delete', 'pods', STAGES, '--wait=false');
    await works(build, 2);
    await stop(build);
  });

  test('has certificates that begin later than the clock of the caller: it says so', async () => {
    const build = begin(site.written('clock'), { environment: clockOf('-3h') });
    const { status, stderr } = await build.exited;
    expect([status, stderr]).toEqual([1, expect.stringMatching(/certificate is not yet valid/)]);
  });
});

test('the registry that goes away is waited for in the Pod; a caller begins nothing without it', async () => {
  const build = begin(site.written('registry'));
  await eventually(async () => expect(await site.jobs()).toHaveLength(1));
  await site.registry.kill();
  try {
    const log = () => site.kubectl('logs', STAGES, '--container=fetch', '--tail=-1');
    await eventually(async () => expect(await log()).toContain('trying again'));
    expect(build.said()).not.toContain(AT_WORK);
    const { status, stderr } = await site.build(site.written('no-registry'));
    expect([status, stderr]).toEqual([1, expect.stringContaining('refuses connections')]);
    expect(await site.jobs()).toHaveLength(1);
  } finally {
    await site.registry.start();
  }
  await works(build, 1);
  await stop(build);
});

test('a Job that somebody deletes ends the build', async () => {
  const build = begin(site.written('deleted'));
  await works(build, 1);
  await removeJobs();
  expect((await build.exited).stderr).toMatch(/was deleted while it was waited for[\s\S]*JOB_DELETED/);
});

test('a caller that is killed leaves nothing that does not go by itself', async () => {
  const build = begin(site.written('kill', { activeDeadline: 15, ttl: 1 }));
  await works(build, 1);
  build.child.kill('SIGKILL');
  await build.exited;
  expect(await site.jobs()).toHaveLength(1);
  await eventually(() => site.isClean());
});
