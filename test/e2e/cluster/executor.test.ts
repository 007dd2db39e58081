// The executor `kubernetes` on a real cluster: what is refused before a Job exists, callers that share a Job, what Ctrl-C leaves,
// and a build that fails. faults.test.ts has what may happen to a Job, whole-build.test.ts builds to the end.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildingCluster, NAMESPACE, startBuildingCluster } from '../support/cluster/building.ts';
import { eventually } from '../support/contained-build.ts';
import { run } from '../support/docker.ts';
import { executable } from '../support/executables.ts';

let site: BuildingCluster;

beforeAll(async () => {
  site = await startBuildingCluster();
});

afterAll(() => site?.stop());

describe('before a Job exists', () => {
  test('what cannot work is said with its field and what to do', async () => {
    const { written, environment, cluster, image, directory } = site;
    await site.kubectl('create', 'serviceaccount', 'nobody');
    const nobody = await cluster.kubeconfigOf({ namespace: NAMESPACE, name: 'nobody' });
    const stranger = join(directory, 'stranger.conf');
    writeFileSync(stranger, readFileSync(nobody, 'utf8').replace(/"token":"[^"]+"/, '"token":"expired"'));
    const both = { executor: { local: {}, kubernetes: { image } } };
    const cases: [string, NodeJS.ProcessEnv, RegExp][] = [
      [written('both', {}, both), environment(), /spec\.build\.executor: names local and kubernetes/],
      [written('small', { storage: { size: '1Gi' } }), environment(), /storage\.size: is 1Gi.*at least 2Gi/],
      [
        written('unshared', {}, { store: undefined } as never),
        environment(),
        /spec\.build\.store: is missing/,
      ],
      [
        written('unsigned', { signingSecret: undefined } as never),
        environment(),
        /signingSecret: is missing/,
      ],
      [
        written('no-config'),
        environment({ KUBECONFIG: '', HOME: directory }),
        /there is no kubeconfig.*KUBECONFIG_UNUSABLE/,
      ],
      [written('context', { context: 'elsewhere' }), environment(), /no context elsewhere/],
      [written('namespace', { namespace: 'nowhere' }), environment(), /namespaces "nowhere" not found/],
      [written('expired'), environment({ KUBECONFIG: stranger }), /CLUSTER_UNAUTHORIZED/],
      [
        written('forbidden'),
        environment({ KUBECONFIG: nobody }),
        /CLUSTER_FORBIDDEN[\s\S]*needs the rule \{apiGroups: \["[a-z]*"\], resources: \[\w+\], verbs: \[list\]\}/,
      ],
    ];
    for (const [file, env, says] of cases) {
      const { status, stderr } = await site.build(file, env);
      expect([file, stderr]).toEqual([file, expect.stringMatching(says)]);
      expect(status).toBe(1);
    }
    expect(await site.jobs()).toEqual([]);
  });

  test('a render starts no Job unless a policy names the image and the namespace', async () => {
    const { written, environment, image, directory, registry } = site;
    const render = (env: NodeJS.ProcessEnv) =>
      run(executable('image-builder-fn'), [], {
        cwd: directory,
        env: environment({ IMAGE_BUILDER_STORE: join(directory, 'store'), ...env }),
        input: JSON.stringify({
          apiVersion: 'config.kubernetes.io/v1',
          kind: 'ResourceList',
          functionConfig: JSON.parse(readFileSync(written('render'), 'utf8')),
          items: [],
        }),
      });
    const store = {
      IMAGE_BUILDER_STORE_REPOSITORY: `${registry.host}/site/store`,
      IMAGE_BUILDER_STORE_TRUST: 'registry',
    };
    expect((await render(store)).stderr).toMatch(
      /kubernetes\.image: starting .* needs permission.*IMAGE_BUILDER_IMAGES/,
    );
    const withImage = { ...store, IMAGE_BUILDER_IMAGES: image };
    expect((await render(withImage)).stderr).toMatch(/namespace: starting Jobs in builds needs permission/);
    expect(await site.jobs()).toEqual([]);
  });
});

test('two callers share a Job; Ctrl-C leaves it to the other, and the last one deletes it; no secret is in sight', async () => {
  const file = site.written('shared');
  const first = site.begin(file, { store: 'first' });
  await first.prints('fetch the package lists');
  const second = site.begin(file, { store: 'second' });
  await second.prints('rootfs: fetch the package lists');
  const [job = '', ...others] = await site.jobs();
  expect(others).toEqual([]);
  const shown = await site.kubectl('get', 'jobs,pods', '--output=yaml');
  expect(shown).not.toMatch(/mirror-password|registry-password|PRIVATE KEY/);
  first.child.kill('SIGINT');
  expect((await first.exited).status).toBe(130);
  expect(await site.jobs()).toEqual([job]);
  second.child.kill('SIGINT');
  const { status, stderr } = await second.exited;
  expect(status).toBe(130);
  expect(stderr).not.toContain('mirror-password');
  await eventually(() => site.isClean());
});

test('a build that fails ends with the error of the program in the Pod, and is begun anew by the next', async () => {
  // Nobody listens there.
  const mirror = `http://${site.cluster.address}:9/debian`;
  const file = site.written('failing', {}, { mirror, rootfs: { multistrap: { multistrap_retries: 0 } } });
  const { status, stderr } = await site.build(file);
  expect(status).toBe(1);
  expect(stderr).toMatch(/rootfs: failed/);
  expect(stderr).toMatch(/REPOSITORY_UNREACHABLE|cannot be fetched/);
  expect(stderr).toMatch(/log: kubectl logs --namespace builds ib-rootfs-\S+ --container build/);
  const [failed = ''] = await site.jobs();
  const uid = () => site.kubectl('get', failed, '--output=jsonpath={.metadata.uid}');
  const before = await uid();
  expect((await site.build(file)).stderr).toMatch(/rootfs: failed/);
  expect(await uid()).not.toBe(before);
});
