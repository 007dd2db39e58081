// The cluster of the tests itself: what it starts is real, and nothing stays behind.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeLayout } from '../../support/images.ts';
import {
  dockerConfig,
  processes,
  startCluster,
  startClusterRegistry,
  type TestCluster,
} from '../support/cluster/cluster.ts';
import { skopeoCopy, type TestRegistry } from '../support/registry.ts';

const LOGIN = { username: 'site', password: 'not-for-strangers' };

describe('a cluster of one node', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cluster-test-'));
  let cluster: TestCluster;
  let registry: TestRegistry;

  beforeAll(async () => {
    cluster = await startCluster();
    registry = await startClusterRegistry(cluster, LOGIN);
    const layout = join(directory, 'busybox');
    const content = readFileSync('/bin/busybox');
    await writeLayout(layout, {
      layers: [
        {
          entries: [
            { name: 'bin/busybox', content, mode: 0o755 },
            { name: 'bin/sh', type: 'symlink', linkname: 'busybox' },
          ],
        },
      ],
      entrypoint: ['/bin/sh', '-c'],
    });
    const credentials = `${LOGIN.username}:${LOGIN.password}`;
    await skopeoCopy(
      `oci:${layout}:latest`,
      `docker://${registry.host}/site/busybox:1`,
      `--dest-creds=${credentials}`,
    );
    await cluster.kubectl(['create', '--filename', '-'], {
      input: {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'registry' },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': dockerConfig(registry.host, LOGIN) },
      },
    });
  });

  afterAll(async () => {
    await registry?.stop();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs a script in a Job, as `pod` says. @returns its log */
  async function runJob(name: string, script: string, pod: object = {}): Promise<string> {
    const job = {
      apiVersion: 'batch/v1',
      kind: 'Job',
      metadata: { name },
      spec: {
        backoffLimit: 0,
        template: {
          spec: {
            restartPolicy: 'Never',
            imagePullSecrets: [{ name: 'registry' }],
            ...pod,
            containers: [{ name: 'main', image: `${registry.host}/site/busybox:1`, args: [script] }],
          },
        },
      },
    };
    await cluster.kubectl(['create', '--filename', '-'], { input: job });
    const ended = `--for=jsonpath={.status.conditions[?(@.status=="True")].type}`;
    await cluster.kubectl(['wait', ended, `job/${name}`, '--timeout=30s']).catch(async (error) => {
      throw new Error(`${error}\n${(await cluster.kubectl(['describe', 'pods'])).stdout}`);
    });
    return (await cluster.kubectl(['logs', `job/${name}`])).stdout;
  }

  it('runs Jobs with an image of a private registry, which reach the API server and the address of the tests', async () => {
    const [host = '', port = ''] = registry.host.split(':');
    const script = `
      busybox nc -w 5 ${host} ${port} </dev/null && echo registry
      busybox nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo API server
      test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo account`;
    expect(await runJob('reach', script)).toBe('registry\nAPI server\naccount\n');
  });

  it('runs Pods whose root is nobody on the node', async () => {
    const map = await runJob('user-namespace', 'busybox cat /proc/self/uid_map', { hostUsers: false });
    expect(map).toMatch(/^ *0 +[1-9]\d{4,} +65536\n$/);
  });

  it('leaves nothing behind when its caller is killed', async () => {
    const gone = dirname(cluster.kubeconfig);
    expect(existsSync(gone)).toBe(true);
    expect(cgroupsOf(cluster)).not.toEqual([]);
    process.kill(cluster.pid, 'SIGTERM');
    await cluster.stop();
    expect(existsSync(gone)).toBe(false);
    const mounts = readFileSync('/proc/self/mounts', 'utf8');
    expect(mounts).not.toContain(gone);
    const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
    expect(addresses.map(({ address }) => address)).not.toContain(cluster.address);
    expect(cgroupsOf(cluster)).toEqual([]);
    expect(processes((command) => command.some((word) => word.includes(gone)))).toEqual([]);
  });
});

/** In all hierarchies; the third number of its address is the cluster's, and others run beside it. */
function cgroupsOf({ address }: TestCluster): string[] {
  const name = `image-builder-cluster-${address.split('.')[2]}`;
  const hierarchies = ['.', ...readdirSync('/sys/fs/cgroup')].map((child) => join('/sys/fs/cgroup', child));
  return hierarchies.map((path) => join(path, name)).filter((path) => existsSync(path));
}
