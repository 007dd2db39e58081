// The builder image that is made without a container engine: it starts in a Pod, and its tools are all there. Installing
// Debian's packages takes a minute or more: `npm run test:images`.

import { pushBuilderImage } from '../support/cluster/builder-image.ts';
import {
  dockerConfig,
  startCluster,
  startClusterRegistry,
  type TestCluster,
} from '../support/cluster/cluster.ts';
import { preparedSpec } from '../support/prepared-image.ts';
import type { TestRegistry } from '../support/registry.ts';

const LOGIN = { username: 'site', password: 'not-for-strangers' };

(process.env.IMAGES === 'all' ? describe : describe.skip)('the builder image', () => {
  let cluster: TestCluster;
  let registry: TestRegistry;

  beforeAll(async () => {
    cluster = await startCluster();
    registry = await startClusterRegistry(cluster, LOGIN);
  });

  afterAll(async () => {
    await registry?.stop();
    await cluster?.stop();
  });

  it('has the same digest each time, and the tools of a build', async () => {
    // At once: in a fresh clone neither has the layer of Debian's packages yet.
    const [image, again] = await Promise.all([
      pushBuilderImage(registry, LOGIN),
      pushBuilderImage(registry, LOGIN),
    ]);
    expect(again).toBe(image);
    const spec = { build: { ...(await preparedSpec()), qcows: { node: {} } } };
    const object = {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name: 'image' },
      spec,
    };
    const items = [
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'registry' },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': dockerConfig(registry.host, LOGIN) },
      },
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'spec' },
        data: { 'image.yaml': JSON.stringify(object) },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'plan' },
        spec: {
          restartPolicy: 'Never',
          imagePullSecrets: [{ name: 'registry' }],
          containers: [
            {
              name: 'main',
              image,
              // Every tool that the stages name is asked for its version.
              command: ['image-builder', 'plan', '--output', 'json', '/spec/image.yaml'],
              volumeMounts: [{ name: 'spec', mountPath: '/spec' }],
            },
          ],
          volumes: [{ name: 'spec', configMap: { name: 'spec' } }],
        },
      },
    ];
    const input = { apiVersion: 'v1', kind: 'List', items };
    await cluster.kubectl(['create', '--filename', '-'], { input });
    const ended = ['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/plan', '--timeout=300s'];
    const { status } = await cluster.kubectl(ended, { mayFail: true });
    const { stdout } = await cluster.kubectl(['logs', 'pod/plan'], { mayFail: true });
    expect({ status, stdout }).toMatchObject({ status: 0 });
    const stages: { kind: string }[] = JSON.parse(stdout);
    expect(stages.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['rootfs', 'osconfig', 'qcow']));
  });
});
