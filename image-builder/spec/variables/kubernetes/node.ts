// The variables that a Kubernetes node consists of, from spec.build.kubernetes. Pure.

import { emitDocuments } from '../../../base/yaml/emit.ts';
import type {
  KubernetesVariables,
  MultistrapVariables,
  OsconfigVariables,
  Repository,
} from '../../api/types.ts';
import { containerdVariables } from './containerd.ts';
import { crioVariables } from './cri-o.ts';
import { importVariables } from './import-images.ts';
import { type KubernetesVersion, packageVersion, sandboxImageOf } from './minors.ts';
import type { Runtime } from './runtime.ts';
import type { RuntimeSettings } from './runtime-variables.ts';

/** What lies below the variables that somebody has written. */
export interface NodeVariables {
  multistrap: Required<Pick<MultistrapVariables, 'k8s_version'>> & {
    packages: string[];
    path_exclude: string[];
    path_include: string[];
    repos: Repository[];
  };
  osconfig: Required<Pick<OsconfigVariables, 'kernel' | 'sysctl' | 'files' | 'systemd' | 'user_scripts'>> &
    Pick<OsconfigVariables, 'kubelet'>;
}

/** Name of the repository of Kubernetes. */
export const REPOSITORY = 'kubernetes';

/** Installed in the version of Kubernetes; the others come in the newest that their repository has. */
const VERSIONED = ['kubelet', 'kubeadm', 'kubectl'];
const TOOLS = ['cri-tools', 'kubernetes-cni'];
/** Of the distribution: what the kubelet, the CNI plugins and network add-ons call. */
const CALLED = ['conntrack', 'ethtool', 'iptables'];

/** A node is upgraded by kubeadm or by its next image, never by the way. */
const HELD = [...VERSIONED, ...TOOLS];

/** Where the kubelet finds what lies over the configuration that kubeadm has written (--config-dir). */
const KUBELET_DROP_INS = '/etc/kubernetes/kubelet.conf.d';

const common: ('common' | 'qcow')[] = ['common'];

/** @param block with every layer merged */
export function nodeVariables(
  block: KubernetesVariables,
  version: KubernetesVersion,
  runtime: Runtime,
): NodeVariables {
  const parts = runtimeVariables(runtime, version, settingsOf(block, version));
  const kubelet = kubeletConfiguration(block);
  const isCarrying = block.preload !== undefined && block.preload.length > 0;
  const carried = isCarrying ? importVariables(parts) : { files: [], systemd: [] };
  const endpoints = { 'runtime-endpoint': parts.socket, 'image-endpoint': parts.socket };
  const files = [
    ...parts.files,
    { name: '/etc/crictl.yaml', content: emitDocuments([{ ...endpoints, ...block.crictl }]) },
    ...Object.entries(block.cni ?? {}).map(([name, network]) => ({
      name: `/etc/cni/net.d/${name}.conflist`,
      content: `${JSON.stringify(network, undefined, 2)}\n`,
    })),
    ...(kubelet ? [{ name: `${KUBELET_DROP_INS}/10-image-builder.conf`, content: kubelet }] : []),
  ];
  return {
    multistrap: {
      k8s_version: version.text,
      packages: [
        ...VERSIONED.map((name) => `${name}=${packageVersion(version)}`),
        ...TOOLS,
        ...CALLED,
        runtime.package,
        ...(isCarrying ? parts.importing.packages : []),
      ],
      path_exclude: ['/usr/share/doc/*', '/usr/share/info/*', '/usr/share/locale/*', '/usr/share/man/*'],
      // Licences, of which the bill of materials tells, and what locales are called.
      path_include: ['/usr/share/doc/*/copyright', '/usr/share/locale/locale.alias'],
      repos: [kubernetesRepository(block, version), ...(runtime.repository ? [runtime.repository] : [])],
    },
    osconfig: {
      kernel: { modules: { load: [{ name: 'overlay' }, { name: 'br_netfilter' }] } },
      sysctl: [
        { name: 'net.ipv4.ip_forward', value: '1' },
        { name: 'net.bridge.bridge-nf-call-iptables', value: '1' },
        { name: 'net.bridge.bridge-nf-call-ip6tables', value: '1' },
      ],
      files: [
        ...files.map(({ name, content }) => ({ name, file_content: content, run_contexts: common })),
        ...carried.files,
      ],
      systemd: [
        { name: parts.unit, enabled: true, run_contexts: common },
        {
          name: 'kubelet',
          enabled: true,
          file_name: '15-container-runtime.conf',
          override: `[Unit]\nWants=${parts.unit}.service\nAfter=${parts.unit}.service\n`,
          run_contexts: common,
        },
        ...carried.systemd,
      ],
      user_scripts: [
        {
          name: 'hold-kubernetes',
          file_content: `#!/bin/sh\ndpkg-query -W -f '\${Package} ' ${[...HELD, ...parts.held].join(' ')} 2>/dev/null | xargs -r apt-mark hold\n`,
          run_contexts: common,
        },
        ...parts.scripts,
      ],
      ...(kubelet && {
        kubelet: { extra_systemd_args: [{ name: '--config-dir', value: KUBELET_DROP_INS }] },
      }),
    },
  };
}

function runtimeVariables({ name }: Runtime, version: KubernetesVersion, settings: RuntimeSettings) {
  return name === 'cri-o' ? crioVariables(settings) : containerdVariables(version, settings);
}

function settingsOf(block: KubernetesVariables, version: KubernetesVersion): RuntimeSettings {
  const { imageRepository, cgroupDriver = 'systemd', mirrors = {} } = block;
  return {
    sandboxImage: block.sandboxImage ?? sandboxImageOf(version, imageRepository),
    cgroupDriver,
    mirrors,
  };
}

/** Undefined when the configuration that kubeadm writes says it all. */
function kubeletConfiguration({ cgroupDriver, kubeletConfiguration = {} }: KubernetesVariables) {
  const fields = { ...(cgroupDriver && { cgroupDriver }), ...kubeletConfiguration };
  if (Object.keys(fields).length === 0) return undefined;
  return emitDocuments([
    { apiVersion: 'kubelet.config.k8s.io/v1beta1', kind: 'KubeletConfiguration', ...fields },
  ]);
}

/** The repository of the minor, with the key that the block names. */
export function kubernetesRepository(block: KubernetesVariables, { minor }: KubernetesVersion): Repository {
  const source = block.source ?? `https://pkgs.k8s.io/core:/stable:/v${minor}/deb`;
  const [first = ''] = [source].flat();
  const { keyring, keyringFile, keyringChecksum } = block;
  const isGiven = keyring !== undefined || keyringFile !== undefined;
  const keyringURL = block.keyringURL ?? (isGiven ? undefined : `${first.replace(/\/+$/, '')}/Release.key`);
  return {
    name: REPOSITORY,
    source,
    suite: '/',
    ...(keyring !== undefined && { keyring }),
    ...(keyringFile !== undefined && { keyring_file: keyringFile }),
    ...(keyringURL !== undefined && { keyring_url: keyringURL }),
    ...(keyringChecksum !== undefined && { keyring_checksum: keyringChecksum }),
  };
}
