// What kubeadm itself says of a booted image.
import { noFailedUnit } from '../../spec/variables/image-tests.ts';
import type { ImageTest } from '../../spec/variables/resolved.ts';

/**
 * What kubeadm only warns of, its preflight, and a control plane that it would set up. What is a fact of the virtual machine and not of the image
 * (processors, memory) does not count. Nothing is fetched: the version is that of the image.
 */
export function kubernetesTests(): ImageTest[] {
  const ignored = '--ignore-preflight-errors=NumCPU,Mem';
  return [
    noFailedUnit(),
    {
      name: 'kubelet is enabled',
      script: 'systemctl is-enabled kubelet',
      timeoutSeconds: 60,
      expected: 'enabled',
    },
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

/** Lines in which kubeadm warns of the image, and not of the virtual machine. */
export const warningsIn = (output: string): string[] =>
  output
    .split('\n')
    .filter((line) => /^\s*\[WARNING (?!NumCPU\]|Mem\]|Hostname\])/.test(line))
    .map((line) => line.trim());
