// What a Kubernetes node is, as one thing: the variables that it stands for are set by it (spec.build.kubernetes).
import { type Static, Type } from 'typebox';
import { IMAGE_NAME, IMAGE_REPOSITORY } from '../patterns.ts';
import { LineText, MirrorList, strictObject } from './common.ts';

/** Host of a registry, as image references name it; docker.io for Docker Hub. */
const RegistryHost = '^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?$';

/** `spec.build.kubernetes`, and the variable file rootfs/kubernetes-vars.yaml. */
export const KubernetesVariables = strictObject(
  {
    version: Type.Optional(
      Type.Unsafe<string | number>({
        type: ['string', 'number'],
        pattern: '^v?1\\.[0-9]{1,3}(?:\\.[0-9]{1,3}(?:-[0-9A-Za-z.+~]+)?)?$',
        description:
          'Version of Kubernetes: 1.37 (the newest release of that minor), 1.37.2, or a version of its packages, 1.37.2-1.1.',
      }),
    ),
    source: Type.Optional(
      Type.Unsafe<string | string[]>({
        ...MirrorList,
        description:
          'Repository of the packages, shaped as pkgs.k8s.io has them, or a list, of which the first that works is used. Default: that of the minor, https://pkgs.k8s.io/core:/stable:/v1.37/deb.',
      }),
    ),
    keyring: Type.Optional(Type.String({ description: 'The ASCII-armoured key of the source itself.' })),
    keyringFile: Type.Optional(
      LineText({ description: 'File on the building machine that holds the keys of the source.' }),
    ),
    keyringURL: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s\\p{Cc}]+$',
        description: 'Where the key of the source is fetched from. Default: Release.key of the source.',
      }),
    ),
    keyringChecksum: Type.Optional(
      Type.String({
        pattern: '^sha256:[0-9a-f]{64}$',
        description: 'What keyringURL must serve: sha256:<hex>.',
      }),
    ),
    runtime: Type.Optional(
      Type.Union([Type.Literal('containerd'), Type.Literal('cri-o')], {
        description:
          'Container runtime. Default: containerd. The package of it that rootfs.multistrap names is used, else for containerd that of the distribution where it is new enough, else containerd.io of download.docker.com; for cri-o the one of the same minor version from download.opensuse.org.',
      }),
    ),
    sandboxImage: Type.Optional(
      Type.String({
        pattern: IMAGE_NAME,
        description:
          'Image that holds the namespaces of a Pod. Default: the pause of imageRepository that kubeadm of this version names.',
      }),
    ),
    imageRepository: Type.Optional(
      Type.String({
        pattern: IMAGE_REPOSITORY,
        description:
          "Registry and path of the images that kubeadm needs, for `default` of preload and for sandboxImage; the same as imageRepository of kubeadm's ClusterConfiguration. Default: registry.k8s.io.",
      }),
    ),
    cgroupDriver: Type.Optional(
      Type.Union([Type.Literal('systemd'), Type.Literal('cgroupfs')], {
        description: 'Who manages the control groups, for the runtime and the kubelet. Default: systemd.',
      }),
    ),
    mirrors: Type.Optional(
      Type.Record(
        Type.String({ pattern: RegistryHost }),
        Type.Array(Type.String({ pattern: '^https?://[^\\s\\p{Cc}?#@]+$' }), { minItems: 1 }),
        {
          description:
            'Mirrors that the runtime asks before a registry, and the build for the images of `preload`: {registry.k8s.io: [https://mirror.example.org/k8s]}. A path is put before the name of the repository.',
          additionalProperties: false,
        },
      ),
    ),
    crictl: Type.Optional(
      strictObject(
        {
          timeout: Type.Optional(Type.Integer({ minimum: 0, description: 'Seconds.' })),
          debug: Type.Optional(Type.Boolean()),
          'pull-image-on-create': Type.Optional(Type.Boolean()),
          'disable-pull-on-run': Type.Optional(Type.Boolean()),
        },
        { description: 'Fields of /etc/crictl.yaml beside the endpoints.' },
      ),
    ),
    cni: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' }),
        Type.Object(
          {
            cniVersion: Type.String({ description: 'Version of the CNI specification, such as 1.0.0.' }),
            name: Type.String({ minLength: 1, description: 'Name of the network.' }),
            plugins: Type.Array(
              Type.Object({ type: Type.String({ minLength: 1, description: 'File name of the plugin.' }) }),
              { minItems: 1 },
            ),
          },
          { description: 'A network configuration list of the CNI specification.' },
        ),
        {
          description:
            'Networks of Pods by file name: /etc/cni/net.d/<name>.conflist. Default: none, a network add-on brings its own.',
          additionalProperties: false,
        },
      ),
    ),
    preload: Type.Optional(
      Type.Array(Type.String({ pattern: `^default$|${IMAGE_NAME}` }), {
        maxItems: 100,
        description:
          'Container images that the disks carry, and give to the runtime before the kubelet starts: references with their registry, and `default` for those that kubeadm of this version needs. A lock file pins their digests.',
      }),
    ),
    kubeletConfiguration: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'Fields of KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that lie over the configuration which kubeadm writes.',
      }),
    ),
  },
  { description: 'What makes the image a Kubernetes node: packages, runtime, kernel and kubelet.' },
);
export type KubernetesVariables = Static<typeof KubernetesVariables>;
