// What happens inside of the image when it joins. Pure.
import { podProgram } from '../../../embedded/guest-program.ts';
import type { ImageTest } from '../../../spec/variables/resolved-tests.ts';
import type { Invitation } from './control-plane.ts';
import { API_SERVER_ADDRESS, API_SERVER_PORT, NODE_ADDRESS } from './network.ts';

/** Made in the machine for the Pod of the test. */
export const POD_IMAGE = 'image-builder.invalid/node-programs:test';
const POD_SUBNET = '10.244.0.0/24';

/** A machine that is emulated takes its time. */
const PATIENCE = '10m0s';
const JOIN_SECONDS = 900;

/** In their order; `kubeadm join` is the last one, so that all others see the image as it was built. */
export function joinTests({ token, authorityHash }: Invitation, nodeName: string): ImageTest[] {
  const configuration = {
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'JoinConfiguration',
    discovery: {
      bootstrapToken: {
        apiServerEndpoint: `${API_SERVER_ADDRESS}:${API_SERVER_PORT}`,
        token,
        caCertHashes: [authorityHash],
      },
    },
    nodeRegistration: {
      name: nodeName,
      // Facts of the virtual machine: it has no default route, which is where the kubelet would find its address.
      kubeletExtraArgs: [{ name: 'node-ip', value: NODE_ADDRESS }],
      ignorePreflightErrors: ['NumCPU', 'Mem'],
    },
    timeouts: {
      kubeletHealthCheck: PATIENCE,
      kubernetesAPICall: PATIENCE,
      discovery: PATIENCE,
      tlsBootstrap: PATIENCE,
    },
  };
  return [
    {
      name: 'a Pod can be prepared',
      script: `python3 -I - ${POD_IMAGE} ${POD_SUBNET} <<'PROGRAM'\n${podProgram}PROGRAM\n`,
      timeoutSeconds: 300,
    },
    {
      name: 'kubeadm join',
      script: `set -eu
configuration=/run/image-builder-tests/join.yaml
cat >"$configuration" <<'CONFIGURATION'
${JSON.stringify(configuration)}
CONFIGURATION
kubeadm join --config "$configuration"
`,
      timeoutSeconds: JOIN_SECONDS,
    },
  ];
}
