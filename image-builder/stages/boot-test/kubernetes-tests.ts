// What kubeadm itself says of a booted image.

import type { ImageTests } from '../../spec/api/types.ts';
import { imageTests } from '../../spec/variables/image-tests.ts';
import type { ImageTest, KubernetesProof } from '../../spec/variables/resolved-tests.ts';

/**
 * What holds in a node before it is one: what kubeadm does not look at, or only warns of; for `preflight` also what it checks, and
 * a control plane that it would set up. What is a fact of the virtual machine and not of the image (processors, memory) does not count. Nothing is
 * fetched: the version is that of the image.
 */
export function kubernetesTests(proof: KubernetesProof | 'init'): ImageTest[] {
  const facts = imageTests(FACTS);
  // Whoever joins, or sets up a cluster, is checked then.
  return proof === 'preflight' ? [...facts, ...preflightTests()] : facts;
}

/** What spec.build.kubernetes makes of an image. */
const FACTS: ImageTests = {
  units: [{ name: 'kubelet', enabled: true }],
  sysctl: [
    { name: 'net.ipv4.ip_forward', value: 1 },
    // Only there when br_netfilter is loaded.
    { name: 'net.bridge.bridge-nf-call-iptables', value: 1 },
    { name: 'net.bridge.bridge-nf-call-ip6tables', value: 1 },
  ],
  commands: [
    { name: 'overlay file systems', command: 'grep -cw overlay /proc/filesystems', output: '1' },
    {
      name: 'packages of Kubernetes that are not held',
      command: `held=$(apt-mark showhold)
for name in kubelet kubeadm; do
  ! dpkg-query -W "$name" >/dev/null 2>&1 || printf '%s\\n' "$held" | grep -qx "$name" || echo "$name"
done`,
      output: '',
    },
  ],
  cloudInit: 'done',
};

function preflightTests(): ImageTest[] {
  const ignored = '--ignore-preflight-errors=NumCPU,Mem';
  return [
    {
      name: 'kubeadm preflight',
      script: `${CONFIGURATION}kubeadm init phase preflight --dry-run --config "$configuration" ${ignored}`,
      timeoutSeconds: 300,
    },
    {
      name: 'kubeadm init --dry-run',
      // What it would write is thousands of lines, and holds the keys of a cluster that there never is.
      script: `${CONFIGURATION}kubeadm init --dry-run --skip-token-print --config "$configuration" ${ignored} >/dev/null`,
      timeoutSeconds: 600,
    },
  ];
}

// The virtual machine has no default route, which is where kubeadm would find the address.
const CONFIGURATION = `set -eu
configuration=/run/image-builder-tests/kubeadm.yaml
version=$(kubeadm version --output short)
address=$(hostname -I | tr ' ' '\\n' | grep -m 1 '^[0-9.]*$')
printf '%s\\n' 'apiVersion: kubeadm.k8s.io/v1beta4' 'kind: InitConfiguration' \\
  "localAPIEndpoint: {advertiseAddress: $address}" --- 'apiVersion: kubeadm.k8s.io/v1beta4' \\
  'kind: ClusterConfiguration' "kubernetesVersion: $version" >"$configuration"
`;

/** Lines in which kubeadm, or what prepares a Pod, warns of the image, and not of the virtual machine. */
export const warningsIn = (output: string): string[] =>
  output
    .split('\n')
    .filter((line) => /^\s*\[WARNING (?!NumCPU\]|Mem\]|Hostname\])/.test(line))
    .map((line) => line.trim());
