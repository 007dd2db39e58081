// The command lines of the control plane, as kubeadm writes them into static Pods, but on loopback. Pure.
import { join } from 'node:path';
import { SERVICE_SUBNET } from './kubeadm-configuration.ts';
import { API_SERVER_ADDRESS, type Ports } from './network.ts';

/** @param directory has `pki` of kubeadm */
export function etcdArguments(directory: string, { etcd, etcdPeers }: Ports): string[] {
  const pki = (name: string) => join(directory, 'pki/etcd', name);
  const [clients, peers] = [`https://127.0.0.1:${etcd}`, `https://127.0.0.1:${etcdPeers}`];
  return [
    ...['--name=control-plane', `--data-dir=${join(directory, 'etcd')}`],
    ...[`--listen-client-urls=${clients}`, `--advertise-client-urls=${clients}`],
    ...[`--listen-peer-urls=${peers}`, `--initial-advertise-peer-urls=${peers}`],
    `--initial-cluster=control-plane=${peers}`,
    ...[`--cert-file=${pki('server.crt')}`, `--key-file=${pki('server.key')}`],
    ...['--client-cert-auth=true', `--trusted-ca-file=${pki('ca.crt')}`],
    ...[`--peer-cert-file=${pki('peer.crt')}`, `--peer-key-file=${pki('peer.key')}`],
    ...['--peer-client-cert-auth=true', `--peer-trusted-ca-file=${pki('ca.crt')}`],
    // Nothing of it is kept.
    ...['--unsafe-no-fsync', '--log-level=warn'],
  ];
}

/** @param directory has `pki` of kubeadm, and `egress.yaml` */
export function apiServerArguments(directory: string, { apiServer, etcd }: Ports): string[] {
  const pki = (name: string) => join(directory, 'pki', name);
  return [
    ...['--bind-address=127.0.0.1', `--secure-port=${apiServer}`],
    ...[`--advertise-address=${API_SERVER_ADDRESS}`, '--endpoint-reconciler-type=none'],
    ...[`--etcd-servers=https://127.0.0.1:${etcd}`, `--etcd-cafile=${pki('etcd/ca.crt')}`],
    `--etcd-certfile=${pki('apiserver-etcd-client.crt')}`,
    `--etcd-keyfile=${pki('apiserver-etcd-client.key')}`,
    ...['--authorization-mode=Node,RBAC', '--enable-admission-plugins=NodeRestriction'],
    ...['--enable-bootstrap-token-auth=true', `--client-ca-file=${pki('ca.crt')}`],
    ...[`--tls-cert-file=${pki('apiserver.crt')}`, `--tls-private-key-file=${pki('apiserver.key')}`],
    `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
    `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    `--egress-selector-config-file=${join(directory, 'egress.yaml')}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    ...[`--service-account-key-file=${pki('sa.pub')}`, `--service-account-signing-key-file=${pki('sa.key')}`],
    ...[`--service-cluster-ip-range=${SERVICE_SUBNET}`, '--profiling=false'],
  ];
}

/** @param directory has `pki` and `controller-manager.conf` of kubeadm */
export function controllerArguments(directory: string): string[] {
  const pki = (name: string) => join(directory, 'pki', name);
  return [
    `--kubeconfig=${join(directory, 'controller-manager.conf')}`,
    '--controllers=*,bootstrapsigner,tokencleaner',
    ...[`--cluster-signing-cert-file=${pki('ca.crt')}`, `--cluster-signing-key-file=${pki('ca.key')}`],
    ...[`--root-ca-file=${pki('ca.crt')}`, `--service-account-private-key-file=${pki('sa.key')}`],
    '--use-service-account-credentials=true',
    // One of its kind, and nobody asks it anything.
    ...['--leader-elect=false', '--secure-port=0', '--profiling=false'],
  ];
}
