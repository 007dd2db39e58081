// Where the tools of a build run (spec.build.executor).
import { Type } from 'typebox';
import { OBJECT_NAME } from '../patterns.ts';
import { strictObject } from './common.ts';

/** Of a namespace, a Secret, a claim or a ServiceAccount. */
const ObjectName = (description: string) =>
  Type.String({ pattern: OBJECT_NAME, maxLength: 253, description });

const Quantity = Type.String({
  pattern: '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$',
  description: 'A quantity of Kubernetes, for example 500m or 4Gi.',
});

const Quantities = (description: string) =>
  Type.Record(Type.String({ minLength: 1 }), Quantity, { description });

/** `spec.build.executor.kubernetes`. */
const KubernetesExecutor = strictObject(
  {
    image: Type.String({ minLength: 1, description: 'The builder image, preferably with its digest.' }),
    context: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Context of the kubeconfig. Default: its current one; in a Pod without a kubeconfig, the service account.',
      }),
    ),
    namespace: Type.Optional(ObjectName("Namespace of the Jobs; default: the context's.")),
    serviceAccountName: Type.Optional(
      ObjectName(
        'ServiceAccount of the Pods. Only the Job that whenMissing: Trigger starts gets its token, to start the others.',
      ),
    ),
    resources: Type.Optional(
      strictObject(
        {
          requests: Type.Optional(Quantities('What a node must have left.')),
          limits: Type.Optional(Quantities('What a Pod may use.')),
        },
        { description: 'Resources of each Pod.' },
      ),
    ),
    nodeSelector: Type.Optional(
      Type.Record(Type.String({ minLength: 1 }), Type.String(), {
        description: 'Labels of the nodes that build.',
      }),
    ),
    tolerations: Type.Optional(
      Type.Array(
        strictObject({
          key: Type.Optional(Type.String()),
          operator: Type.Optional(Type.Union([Type.Literal('Exists'), Type.Literal('Equal')])),
          value: Type.Optional(Type.String()),
          effect: Type.Optional(
            Type.Union([
              Type.Literal('NoSchedule'),
              Type.Literal('PreferNoSchedule'),
              Type.Literal('NoExecute'),
            ]),
          ),
          tolerationSeconds: Type.Optional(Type.Integer({ minimum: 0 })),
        }),
        { description: 'Taints of nodes that build all the same.' },
      ),
    ),
    storage: Type.Optional(
      strictObject(
        {
          size: Type.Optional(Quantity),
          medium: Type.Optional(
            Type.Literal('Memory', { description: "Memory instead of the node's disk." }),
          ),
          claim: Type.Optional(ObjectName('A PersistentVolumeClaim instead of a directory of its own.')),
        },
        { description: "Where a Pod works; default: a directory on the node's disk without a limit." },
      ),
    ),
    imagePullSecrets: Type.Optional(
      Type.Array(ObjectName('A Secret with credentials for the builder image.'), {
        description: 'Secrets with which the nodes pull the builder image.',
      }),
    ),
    registrySecret: Type.Optional(
      ObjectName(
        'Secret of the type kubernetes.io/dockerconfigjson for the shared store; ca.crt in it is the authority of the registry.',
      ),
    ),
    signingSecret: Type.Optional(
      ObjectName('Secret whose key.pem signs the results: an Ed25519 private key (PKCS 8).'),
    ),
    ttl: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'Seconds for which a Job that has ended stays; default 3600.',
      }),
    ),
    activeDeadline: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Seconds that a stage may take; default 7200.' }),
    ),
    privileges: Type.Optional(
      Type.Union([Type.Literal('none'), Type.Literal('userNamespace'), Type.Literal('privileged')], {
        description:
          'none: root in a container with default capabilities. userNamespace: root of a user namespace that may mount. privileged: root of the node. Default: userNamespace where the cluster has them, otherwise none.',
      }),
    ),
    parallelism: Type.Optional(
      Type.Integer({ minimum: 1, description: 'How many Jobs of a build run at the same time; default 10.' }),
    ),
  },
  { description: 'The tools of the builder image, in Jobs of a Kubernetes cluster.' },
);

/** `spec.build.executor`: this machine, a container of a builder image, or a cluster. */
export const Executor = strictObject(
  {
    local: Type.Optional(strictObject({}, { description: "This machine's own tools." })),
    container: Type.Optional(
      strictObject(
        {
          engine: Type.Optional(
            Type.Union([Type.Literal('docker'), Type.Literal('podman'), Type.Literal('nerdctl')], {
              description: 'Default: the first that answers.',
            }),
          ),
          image: Type.String({
            minLength: 1,
            description: 'The builder image, preferably with its digest.',
          }),
          network: Type.Optional(
            Type.String({
              description: "Network of the stages that fetch; default: the engine's own.",
            }),
          ),
        },
        { description: 'The tools of the builder image, in a container with default capabilities.' },
      ),
    ),
    kubernetes: Type.Optional(KubernetesExecutor),
  },
  { description: 'Where the build runs: one of these; default local.' },
);
