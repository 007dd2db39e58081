// What happens inside of the image that becomes a control plane. Pure.
import type { ImageTest } from '../../../spec/variables/resolved-tests.ts';
import type { MachineIdentity } from '../config-drive.ts';
import { podPreparation, registration } from '../join/guest-tests.ts';
import type { Invitation } from '../join/invitation.ts';

/** The two ends of the cable. Addresses of documentation are in nobody's way (RFC 5737). */
export const CONTROL_PLANE: MachineIdentity = {
  name: 'control-plane-under-test',
  mac: '52:54:00:12:34:60',
  address: '192.0.2.1',
};
export const WORKER: MachineIdentity = {
  name: 'worker-under-test',
  mac: '52:54:00:12:34:61',
  address: '192.0.2.2',
};

const INIT = 'kubeadm init';
const ENDPOINT = `${CONTROL_PLANE.address}:6443`;
const API_VERSION = 'kubeadm.k8s.io/v1beta4';
/** Where machines are emulated the API server alone takes minutes to become healthy. */
const PATIENCE = '40m0s';
const INIT_SECONDS = 3000;
/** Milliseconds. etcd gives a request up after ten seconds more than two elections: an emulated machine needs longer than usual. */
const HEARTBEAT = 5000;
const ELECTION = 50_000;

/** Where kubeadm finds what is changed in its static Pods. */
const PATCHES = '/run/image-builder-tests/patches';
const STATIC_PODS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler'];
/**
 * Probes that fail, every ten seconds, before the kubelet restarts a component (8 by kubeadm). What is too slow for its probe is not
 * broken, and starting it again is the most expensive thing that an emulated machine can do.
 */
const LIVENESS_FAILURES = 240;

/** In their order; `kubeadm init` is the last one. */
export function initTests(token: string): ImageTest[] {
  const init = {
    apiVersion: API_VERSION,
    kind: 'InitConfiguration',
    bootstrapTokens: [{ token, ttl: '24h0m0s' }],
    localAPIEndpoint: { advertiseAddress: CONTROL_PLANE.address, bindPort: 6443 },
    nodeRegistration: registration(CONTROL_PLANE),
    patches: { directory: PATCHES },
    timeouts: {
      controlPlaneComponentHealthCheck: PATIENCE,
      kubeletHealthCheck: PATIENCE,
      kubernetesAPICall: PATIENCE,
    },
  };
  const cluster = {
    apiVersion: API_VERSION,
    kind: 'ClusterConfiguration',
    kubernetesVersion: '@VERSION@',
    encryptionAlgorithm: 'ECDSA-P256',
    // There is one of each. Whoever cannot renew its lease within ten seconds ends, and starts again.
    controllerManager: { extraArgs: [{ name: 'leader-elect', value: 'false' }] },
    scheduler: { extraArgs: [{ name: 'leader-elect', value: 'false' }] },
    etcd: {
      local: {
        extraArgs: [
          { name: 'heartbeat-interval', value: `${HEARTBEAT}` },
          { name: 'election-timeout', value: `${ELECTION}` },
        ],
      },
    },
  };
  return [
    podPreparation,
    {
      name: INIT,
      // The version is that of the image: nothing is fetched.
      script: `set -eu
configuration=/run/image-builder-tests/init.yaml
sed "s/@VERSION@/$(kubeadm version --output short)/" >"$configuration" <<'CONFIGURATION'
${JSON.stringify(init)}
---
${JSON.stringify(cluster)}
CONFIGURATION
mkdir -p ${PATCHES}
${STATIC_PODS.map(patch).join('')}kubeadm init --config "$configuration"
`,
      timeoutSeconds: INIT_SECONDS,
    },
  ];
}

function patch(name: string): string {
  const container = { name, livenessProbe: { failureThreshold: LIVENESS_FAILURES } };
  return `cat >${PATCHES}/${name}.json <<'PATCH'\n${JSON.stringify({ spec: { containers: [container] } })}\nPATCH\n`;
}

/**
 * How the other machine is to join, by what kubeadm has printed.
 * @returns undefined when it has printed no hash of an authority
 */
export function invitationOf(
  results: readonly { name: string; output: string }[],
  token: string,
): Invitation | undefined {
  const { output = '' } = results.find(({ name }) => name === INIT) ?? {};
  const [authorityHash] = /\bsha256:[0-9a-f]{64}\b/.exec(output) ?? [];
  return authorityHash === undefined ? undefined : { endpoint: ENDPOINT, token, authorityHash };
}
