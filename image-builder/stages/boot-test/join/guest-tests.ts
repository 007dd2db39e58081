// What happens inside of the image when it joins. Pure.
import { podProgram } from '../../../embedded/guest-program.ts';
import type { ImageTest } from '../../../spec/variables/resolved-tests.ts';
import type { Invitation } from './invitation.ts';

/** Made in the machine for the Pod of the test. */
export const POD_IMAGE = 'image-builder.invalid/node-programs:test';
const POD_SUBNET = '10.244.0.0/24';

/** A machine that is emulated takes its time. */
const PATIENCE = '10m0s';
const JOIN_SECONDS = 900;

/** Facts of the virtual machine, and not of its image. */
const IGNORED_PREFLIGHT = ['NumCPU', 'Mem'];

/** A node as its cluster knows it. */
export interface NodeIdentity {
  name: string;
  /** The virtual machine has no default route, which is where kubeadm and the kubelet would find it. */
  address: string;
}

/** How kubeadm registers it (NodeRegistrationOptions). */
export const registration = ({ name, address }: NodeIdentity) => ({
  name,
  kubeletExtraArgs: [{ name: 'node-ip', value: address }],
  ignorePreflightErrors: IGNORED_PREFLIGHT,
});

/** What a Pod of the test needs in the node. */
export const podPreparation: ImageTest = {
  name: 'a Pod can be prepared',
  script: `python3 -I - ${POD_IMAGE} ${POD_SUBNET} <<'PROGRAM'\n${podProgram}PROGRAM\n`,
  timeoutSeconds: 300,
};

/** In their order; `kubeadm join` is the last one, so that all others see the image as it was built. */
export function joinTests({ endpoint, token, authorityHash }: Invitation, node: NodeIdentity): ImageTest[] {
  const configuration = {
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'JoinConfiguration',
    discovery: {
      bootstrapToken: {
        apiServerEndpoint: endpoint,
        token,
        caCertHashes: [authorityHash],
      },
    },
    nodeRegistration: registration(node),
    timeouts: {
      kubeletHealthCheck: PATIENCE,
      kubernetesAPICall: PATIENCE,
      discovery: PATIENCE,
      tlsBootstrap: PATIENCE,
    },
  };
  return [
    podPreparation,
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
