import {
  apiServerArguments,
  controllerArguments,
  etcdArguments,
} from '../../../../../image-builder/stages/boot-test/join/arguments.ts';
import {
  clusterInfo,
  initConfiguration,
} from '../../../../../image-builder/stages/boot-test/join/kubeadm-configuration.ts';
import { privateUser } from '../../../../../image-builder/stages/boot-test/join/private-user.ts';

const ports = { apiServer: 1001, etcd: 1002, etcdPeers: 1003, kubelet: 1004 };
const [etcd, apiServer, controllers] = [
  etcdArguments('/d', ports),
  apiServerArguments('/d', ports),
  controllerArguments('/d'),
];

test('everything listens on loopback, or not at all', () => {
  const listening = [...etcd, ...apiServer, ...controllers].filter((one) =>
    /listen|bind|secure-port/.test(one),
  );
  expect(listening.sort()).toEqual([
    '--bind-address=127.0.0.1',
    '--listen-client-urls=https://127.0.0.1:1002',
    '--listen-peer-urls=https://127.0.0.1:1003',
    '--secure-port=0',
    '--secure-port=1001',
  ]);
});

test('nobody talks to etcd without a certificate', () => {
  expect(etcd).toEqual(expect.arrayContaining(['--client-cert-auth=true', '--peer-client-cert-auth=true']));
});

test('what is told to nodes names nothing of the building machine', () => {
  const options = { version: 'v1.37.2', token: 'a.b', certificatesDir: '/etc/kubernetes/pki' };
  const documents = initConfiguration(options)
    .split('\n---\n')
    .map((text) => JSON.parse(text));
  expect(documents.map(({ kind }) => kind)).toEqual([
    'InitConfiguration',
    'ClusterConfiguration',
    'KubeletConfiguration',
  ]);
  expect(documents[0].nodeRegistration.name).toBe('control-plane');
  expect(documents[1]).toMatchObject({
    controlPlaneEndpoint: '10.0.2.100:6443',
    certificatesDir: '/etc/kubernetes/pki',
  });
  expect(JSON.parse(clusterInfo('authority')).clusters[0].cluster.server).toBe('https://10.0.2.100:6443');
});

test('the programs end with this process, and are not run as root', () => {
  const user = privateUser(0);
  const id = Number(/--reuid=(\d+)/.exec(user.prefix.join(' '))?.[1]);
  expect(id).toBeGreaterThanOrEqual(61184);
  expect(id).toBeLessThanOrEqual(65519);
  for (const uid of [0, 1000])
    expect(privateUser(uid).prefix.join(' ')).toMatch(/^setpriv --pdeathsig KILL --no-new-privs .*--$/);
  expect(privateUser(1000).prefix).not.toContain('--clear-groups');
});
