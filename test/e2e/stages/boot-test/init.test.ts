// What the boot test tells kubeadm of the cluster that a booted image sets up, by the real kubeadm, up to the static Pods.
import { execFileSync } from 'node:child_process';
import { parse } from 'yaml';
import { initTests } from '../../../../image-builder/stages/boot-test/init/guest-tests.ts';
import { controlPlaneDirectories } from '../../support/kubernetes-packages.ts';

const MANIFESTS = '/etc/kubernetes/manifests';

test('a component that is slow is neither started again nor loses a lease', () => {
  const [programs = ''] = controlPlaneDirectories('1.37');
  const { script = '' } =
    initTests('abcdef.0123456789abcdef').find(({ name }) => name === 'kubeadm init') ?? {};
  const init = 'kubeadm init --config "$configuration"';
  expect(script).toContain(init);
  const phases = ['etcd local', 'control-plane all'].map((phase) =>
    init.replace('init', `init phase ${phase}`),
  );
  const prepared = [
    // Nothing of this machine is written.
    ...['set -eu', 'mount -t tmpfs tmpfs /run', 'mkdir /run/image-builder-tests /run/etc /run/work'],
    'mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work overlay /etc',
    ...['mount -t tmpfs tmpfs /var/lib', 'exec 3>&1 >&2'],
    ...[
      script.replace(init, phases.join('\n')),
      `for file in ${MANIFESTS}/*; do echo ---; cat "$file"; done >&3`,
    ],
  ];
  const written = execFileSync('unshare', ['--mount', 'sh', '-c', prepared.join('\n')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${programs}:${process.env.PATH}` },
  });
  const containers = written
    .split('---\n')
    .filter((text) => text.trim() !== '')
    .map((text) => parse(text).spec.containers[0]);
  expect(containers.map(({ name, livenessProbe }) => [name, livenessProbe.failureThreshold])).toEqual([
    ['etcd', 240],
    ['kube-apiserver', 240],
    ['kube-controller-manager', 240],
    ['kube-scheduler', 240],
  ]);
  const commandOf = (name: string) => containers.find((one) => one.name === name).command;
  expect(commandOf('kube-controller-manager')).toContain('--leader-elect=false');
  expect(commandOf('kube-scheduler')).toContain('--leader-elect=false');
  expect(commandOf('etcd')).toContain('--election-timeout=50000');
});
