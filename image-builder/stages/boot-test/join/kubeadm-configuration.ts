// The cluster that a node joins, as kubeadm is told of it (https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/).
import { API_SERVER_ADDRESS, API_SERVER_PORT } from './network.ts';

/** Addresses of services, of which there is one. */
export const SERVICE_SUBNET = '10.96.0.0/16';
/** Keys that are found later open nothing. */
const VALIDITY = '24h0m0s';
const API_VERSION = 'kubeadm.k8s.io/v1beta4';

/** What kubeadm reads with `--config`. JSON is YAML. */
export function initConfiguration(options: {
  /** Of the programs: `v1.37.2`. */
  version: string;
  token: string;
  /** Where keys are, or will be. */
  certificatesDir: string;
}): string {
  const { version, token, certificatesDir } = options;
  const init = {
    apiVersion: API_VERSION,
    kind: 'InitConfiguration',
    bootstrapTokens: [{ token, ttl: VALIDITY }],
    localAPIEndpoint: { advertiseAddress: API_SERVER_ADDRESS, bindPort: API_SERVER_PORT },
    // What runs on the building machine is nobody's business in there.
    nodeRegistration: { name: 'control-plane', criSocket: 'unix:///run/containerd/containerd.sock' },
  };
  const cluster = {
    apiVersion: API_VERSION,
    kind: 'ClusterConfiguration',
    kubernetesVersion: version,
    controlPlaneEndpoint: `${API_SERVER_ADDRESS}:${API_SERVER_PORT}`,
    certificatesDir,
    encryptionAlgorithm: 'ECDSA-P256',
    certificateValidityPeriod: VALIDITY,
    caCertificateValidityPeriod: VALIDITY,
    apiServer: { certSANs: ['127.0.0.1', 'localhost'] },
    networking: { serviceSubnet: SERVICE_SUBNET },
  };
  // The default is a fact of the machine where kubeadm runs.
  const kubelet = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    resolvConf: '/etc/resolv.conf',
  };
  return [init, cluster, kubelet].map((one) => JSON.stringify(one)).join('\n---\n');
}

/** The kubeconfig that a node is shown before it knows the cluster: where it is, and by which authority it is known. */
export function clusterInfo(authority: string): string {
  const cluster = {
    'certificate-authority-data': Buffer.from(authority).toString('base64'),
    server: `https://${API_SERVER_ADDRESS}:${API_SERVER_PORT}`,
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Config', clusters: [{ name: '', cluster }] });
}
