// The Jobs of the executor `kubernetes`, and the Secrets that they own. Pure.
//
// A Pod runs three containers of the builder image, one after the other, that share a directory: `fetch` gets the results that
// the stage starts from, `build` makes the stage, and `push` signs the result and pushes it. Programs of packages and scripts of
// the spec run in `build`, which has neither the credentials of the registry nor the signing key.
import type {
  V1Container,
  V1Job,
  V1PodSpec,
  V1Secret,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import type { PlannedStage } from '../../pipeline/plan.ts';
import { IN_POD, type KubernetesExecutor, type Step } from './protocol.ts';

/** On every Job and every Pod of ours. */
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'image-builder' } as const;
/** Which Jobs a caller follows. */
export const SELECTOR = 'app.kubernetes.io/managed-by=image-builder';
const PREFIX = 'image-builder.airshipit.org/';
/** Of an annotation for each caller that waits for the Job. */
export const WAITER = `${PREFIX}waiter-`;
/** Of the annotation of a Job that nobody waits for and that is wanted all the same. */
export const TRIGGERED = `${PREFIX}triggered`;

const [DEFAULT_TTL, DEFAULT_DEADLINE] = [3600, 7200];

/** Exit statuses after which the same would happen again: the program has said why it failed, or memory ran out. */
const FINAL_EXIT_CODES = [1, 137];
/** Pods that were drained, evicted or killed are replaced so many times. */
const RETRIES = 3;

/** How far the build container is confined. */
export type Privileges = NonNullable<KubernetesExecutor['privileges']>;

/** Whether stages can mount in it. */
export const canMount = (privileges: Privileges): boolean => privileges !== 'none';

/** Kinds of stages that fetch container images and run nobody's programs. */
const FETCHES_IMAGES: ReadonlySet<string> = new Set(['preload', 'bundle']);

/** The name of a stage's Job: whoever wants the same result finds it. At most 53 characters, since Pods add theirs. */
export function jobName({ kind, key }: Pick<PlannedStage, 'kind' | 'key'>): string {
  return `ib-${kind}-${key.slice(0, 40)}`;
}

/** Of a Job. */
export interface JobDescription {
  name: string;
  /** `stage`, `builder` or `driver`. */
  component: string;
  annotations: Readonly<Record<string, string>>;
  executor: KubernetesExecutor;
  /** The builder image, with its digest when that is known. */
  image: string;
}

/** The Job of one stage. @param secret name of the Secret with its request */
export function stageJob(
  description: JobDescription,
  { kind, name, key }: Pick<PlannedStage, 'kind' | 'name' | 'key'>,
  secret: string,
  privileges: Privileges,
): V1Job {
  const { executor, image } = description;
  const container = (step: Step, more: Partial<V1Container>, mounts: V1VolumeMount[]): V1Container => ({
    ...ofImage(
      executor,
      image,
      ['run-job', stepFor(step, privileges)],
      [WORK_MOUNT, REQUEST_MOUNT, ...mounts],
    ),
    name: step,
    ...more,
  });
  const registry = executor.registrySecret ? [REGISTRY_MOUNT] : [];
  const signing = executor.signingSecret ? [SIGNING_MOUNT] : [];
  return job(
    {
      ...description,
      annotations: { ...description.annotations, [`${PREFIX}stage`]: name, [`${PREFIX}key`]: key },
    },
    {
      ...podSecurity(privileges),
      initContainers: [
        container('fetch', withoutPrivileges(), registry),
        container('build', buildSecurity(privileges), FETCHES_IMAGES.has(kind) ? registry : []),
      ],
      containers: [container('push', withoutPrivileges(), [...registry, ...signing])],
      volumes: [
        workVolume(executor),
        { name: 'request', secret: { secretName: secret, defaultMode: 0o400 } },
        ...secretVolumes(executor),
      ],
    },
  );
}

/** The Job that finds out what decides keys in a builder image, and whether Pods may be confined that way. */
export function builderJob(description: JobDescription, question: string, privileges: Privileges): V1Job {
  const { executor, image } = description;
  const container = {
    ...ofImage(
      executor,
      image,
      ['run-job', privileges === 'userNamespace' ? 'describe-confined' : 'describe', question],
      [],
    ),
    name: 'describe',
    ...buildSecurity(privileges),
  };
  return job(description, { ...podSecurity(privileges), containers: [container] });
}

/** The Job that builds everything for a caller who does not wait: it starts the other Jobs. */
export function driverJob(description: JobDescription, secret: string): V1Job {
  const { executor, image } = description;
  const registry = executor.registrySecret ? [REGISTRY_MOUNT] : [];
  const container = {
    ...ofImage(executor, image, ['run-job', 'drive'], [WORK_MOUNT, REQUEST_MOUNT, ...registry]),
    name: 'drive',
    ...withoutPrivileges(),
  };
  return job(description, {
    automountServiceAccountToken: true,
    containers: [container],
    volumes: [
      { name: 'work', emptyDir: {} },
      { name: 'request', secret: { secretName: secret, defaultMode: 0o400 } },
      ...secretVolumes({ ...executor, signingSecret: undefined }),
    ],
  });
}

/** The Secret that a Job owns: it goes when the Job goes. @param content what `request` holds */
export function requestSecret(name: string, owner: { name: string; uid: string }, content: Buffer): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      labels: MANAGED_BY,
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', ...owner }],
    },
    immutable: true,
    data: { request: content.toString('base64') },
  };
}

/** The name of the Secret that a Job of ours reads. */
export function secretOf({ spec }: V1Job): string | undefined {
  return spec?.template.spec?.volumes?.find(({ name }) => name === 'request')?.secret?.secretName;
}

function job({ name, component, annotations, executor }: JobDescription, pod: Partial<V1PodSpec>): V1Job {
  const labels = { ...MANAGED_BY, 'app.kubernetes.io/component': component };
  const { serviceAccountName, imagePullSecrets, nodeSelector, tolerations } = executor;
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels, annotations },
    spec: {
      backoffLimit: RETRIES,
      activeDeadlineSeconds: executor.activeDeadline ?? DEFAULT_DEADLINE,
      ttlSecondsAfterFinished: executor.ttl ?? DEFAULT_TTL,
      podFailurePolicy: {
        rules: [
          { action: 'Count', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
          { action: 'FailJob', onExitCodes: { operator: 'In', values: FINAL_EXIT_CODES } },
        ],
      },
      template: {
        metadata: { labels },
        spec: {
          restartPolicy: 'Never',
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          ...(serviceAccountName !== undefined && { serviceAccountName }),
          ...(imagePullSecrets && { imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })) }),
          ...(nodeSelector && { nodeSelector }),
          ...(tolerations && { tolerations }),
          containers: [],
          ...pod,
        },
      },
    },
  };
}

const WORK_MOUNT: V1VolumeMount = { name: 'work', mountPath: IN_POD.work };
const REQUEST_MOUNT: V1VolumeMount = {
  name: 'request',
  mountPath: directoryOf(IN_POD.request),
  readOnly: true,
};
const REGISTRY_MOUNT: V1VolumeMount = { name: 'registry', mountPath: IN_POD.registry, readOnly: true };
const SIGNING_MOUNT: V1VolumeMount = {
  name: 'signing',
  mountPath: directoryOf(IN_POD.signingKey),
  readOnly: true,
};

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** A container that runs the program of the builder image. */
function ofImage(
  { resources }: KubernetesExecutor,
  image: string,
  args: string[],
  volumeMounts: V1VolumeMount[],
): Omit<V1Container, 'name'> {
  return {
    image,
    command: ['image-builder', '--log-format', 'json', ...args],
    env: [{ name: 'IMAGE_BUILDER_STORE', value: IN_POD.store }],
    ...(resources && { resources }),
    terminationMessagePath: IN_POD.lastWords,
    volumeMounts,
  };
}

function workVolume({ storage = {} }: KubernetesExecutor): V1Volume {
  const { claim, size, medium } = storage;
  if (claim !== undefined) return { name: 'work', persistentVolumeClaim: { claimName: claim } };
  return {
    name: 'work',
    emptyDir: { ...(size !== undefined && { sizeLimit: size }), ...(medium !== undefined && { medium }) },
  };
}

function secretVolumes({
  registrySecret,
  signingSecret,
}: {
  registrySecret?: string | undefined;
  signingSecret?: string | undefined;
}): V1Volume[] {
  const volumes: V1Volume[] = [];
  if (registrySecret !== undefined) {
    const part = (key: string, path: string, optional: boolean) => ({
      secret: { name: registrySecret, items: [{ key, path }], optional },
    });
    const sources = [part('.dockerconfigjson', 'config.json', false), part('ca.crt', 'ca.crt', true)];
    volumes.push({ name: 'registry', projected: { defaultMode: 0o400, sources } });
  }
  if (signingSecret !== undefined) {
    const items = [{ key: 'key.pem', path: 'key.pem' }];
    volumes.push({ name: 'signing', secret: { secretName: signingSecret, defaultMode: 0o400, items } });
  }
  return volumes;
}

/** Of a container that only fetches or pushes files of its own. */
function withoutPrivileges(): Pick<V1Container, 'securityContext'> {
  return { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } };
}

/** What the program is asked to do. */
function stepFor(step: Step, privileges: Privileges): string {
  return step === 'build' && privileges === 'userNamespace' ? 'build-confined' : step;
}

/** With user namespaces, root of the Pod is nobody on the node. */
function podSecurity(privileges: Privileges): Partial<V1PodSpec> {
  return privileges === 'userNamespace' ? { hostUsers: false } : {};
}

/** Mounting confines the programs of packages, and keeps trees in memory: see explanation/root-filesystem.md. */
function buildSecurity(privileges: Privileges): Pick<V1Container, 'securityContext'> {
  switch (privileges) {
    case 'none':
      return { securityContext: { allowPrivilegeEscalation: false } };
    case 'userNamespace':
      // Mounting another /proc needs one of which nothing is hidden. Without new privileges, root of a namespace in the Pod would
      // get no capabilities in it, and with the seccomp profile of the runtimes there would be no such namespace.
      return { securityContext: { procMount: 'Unmasked' } };
    case 'privileged':
      return { securityContext: { privileged: true } };
  }
}
