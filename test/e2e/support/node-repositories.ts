// The third-party repositories of a Kubernetes node, made by the tests: Kubernetes (flat, as pkgs.k8s.io) and Docker
// (with a suite). Their packages are small, but have the files, conflicts and maintainer scripts of the real ones.
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildPackages,
  FileServer,
  forgetKey,
  makeKey,
  publishFlat,
  publishSuite,
  type SigningKey,
  type TestPackage,
} from './apt-repository.ts';

const root = join(__dirname, '../../..');

/** A service that stays up and writes down how it was started. */
const daemon = (name: string) => `#!/bin/sh
[ "$1" != --version ] || { echo "${name} of the tests"; exit; }
echo "$*" > /run/${name}.arguments
exec sleep infinity
`;
const unit = (name: string) =>
  `[Unit]\nDescription=${name}\n[Service]\nExecStart=/usr/bin/${name}\nRestart=always\n[Install]\nWantedBy=multi-user.target\n`;
// What debhelper's and OBS's macros come to.
const enable = (name: string) =>
  `#!/bin/sh\nset -e\n[ "$1" != configure ] || deb-systemd-helper enable ${name}.service >/dev/null\n`;

// The unit reads KUBELET_EXTRA_ARGS from a conffile of the package, which sets it to nothing.
const KUBEADM_DROP_IN = `[Service]
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`;

function kubernetesPackages(version: string): TestPackage[] {
  return [
    {
      name: 'kubelet',
      version,
      files: {
        '/usr/bin/kubelet': daemon('kubelet'),
        '/usr/lib/systemd/system/kubelet.service': unit('kubelet'),
        '/etc/default/kubelet': 'KUBELET_EXTRA_ARGS=\n',
      },
      control: ['Depends: kubernetes-cni, mount'],
      postinst: enable('kubelet'),
    },
    {
      name: 'kubeadm',
      version,
      files: {
        '/usr/bin/kubeadm': daemon('kubeadm'),
        '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf': KUBEADM_DROP_IN,
      },
      control: ['Depends: cri-tools'],
    },
    { name: 'kubectl', version, files: { '/usr/bin/kubectl': daemon('kubectl') } },
  ];
}

const DOCKER_PACKAGES: TestPackage[] = [
  {
    name: 'containerd.io',
    version: '2.1.5-1~debian',
    files: {
      '/usr/bin/containerd': daemon('containerd'),
      '/usr/lib/systemd/system/containerd.service': unit('containerd'),
      '/etc/containerd/config.toml': 'disabled_plugins = ["cri"]\n',
    },
    control: [...['Provides: containerd, runc', 'Conflicts: containerd, runc', 'Replaces: containerd, runc']],
    postinst: enable('containerd'),
  },
  {
    name: 'docker-ce',
    version: '5:29.0.2-1~debian',
    files: {
      '/usr/bin/dockerd': daemon('dockerd'),
      '/usr/lib/systemd/system/docker.service': unit('dockerd'),
    },
    control: ['Depends: containerd.io, docker-ce-cli, iptables'],
    postinst: `${enable('docker')}groupadd --force --system docker\n`,
  },
  { name: 'docker-ce-cli', version: '5:29.0.2-1~debian', files: { '/usr/bin/docker': daemon('docker') } },
];

/** Repositories that are being served, and manifests that name them. */
export interface NodeRepositories {
  /** Version of the Kubernetes packages by profile; there are newer ones. */
  k8sVersions: Record<string, string>;
  /** The product's manifests and profiles, in which Kubernetes' and Docker's repositories are these. */
  manifests: string;
  profiles: string;
  stop(): Promise<void>;
}

/**
 * @param directory for everything; it must exist.
 * @param codename suite of Docker's repository.
 * @param names profiles that are to be built.
 */
export async function serveNodeRepositories(
  directory: string,
  codename: string,
  names: readonly string[],
): Promise<NodeRepositories> {
  const www = join(directory, 'www');
  const key = makeKey(directory, 'vendor');
  buildPackages(join(www, 'docker/linux/debian/pool'), DOCKER_PACKAGES);
  publishSuite(join(www, 'docker/linux/debian'), codename, key, 'stable');
  writeFileSync(join(www, 'docker/linux/debian/gpg'), key.armoured);
  const server = new FileServer(www);
  const url = await server.start();

  const site = join(directory, 'site');
  mkdirSync(site);
  for (const name of ['manifests', 'profiles'])
    cpSync(join(root, name), join(site, name), { recursive: true });
  const sha256 = createHash('sha256').update(key.armoured).digest('hex');
  const k8sVersions: Record<string, string> = {};
  for (const name of names) {
    const file = join(site, 'profiles', name, 'manifests/rootfs/kubernetes-vars.yaml');
    const text = readFileSync(file, 'utf8');
    const [, version = '', minor] = /^version: ((\d+\.\d+)\S*)/m.exec(text) ?? [];
    k8sVersions[name] = version;
    const path = `kubernetes/${minor}`;
    publishKubernetes(join(www, path), version, key);
    const own = { source: `${url}/${path}`, keyringURL: `${url}/${path}/Release.key` };
    writeFileSync(file, `${text}${yaml({ ...own, keyringChecksum: `sha256:${sha256}` })}`);
  }
  // In the place of download.docker.com, which the profiles mean from 1.36 on.
  const docker = `${url}/docker/linux/debian`;
  const repository = {
    ...{ name: 'docker', source: docker, suite: codename, components: 'stable' },
    ...{ keyring_url: `${docker}/gpg`, keyring_checksum: `sha256:${sha256}` },
  };
  const variables = join(site, 'manifests/rootfs/multistrap-vars.yaml');
  writeFileSync(variables, `${readFileSync(variables, 'utf8')}${yaml({ repos_append: [repository] })}`);
  return {
    k8sVersions,
    manifests: join(site, 'manifests'),
    profiles: join(site, 'profiles'),
    async stop() {
      await server.stop();
      forgetKey(key);
    },
  };
}

/** Lines of a variable file. */
const yaml = (variables: object): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}\n`)
    .join('');

/** The repository of a minor version, shaped as those of pkgs.k8s.io, with a patch release more. */
function publishKubernetes(directory: string, version: string, key: SigningKey): void {
  const next = version.replace(/\.(\d+)-/, (_, patch) => `.${Number(patch) + 1}-`);
  const others = ['kubernetes-cni', 'cri-tools'].map((name) => ({ name, version: '1.7.1-1.1' }));
  buildPackages(directory, [...kubernetesPackages(version), ...kubernetesPackages(next), ...others]);
  publishFlat(directory, key);
  writeFileSync(join(directory, 'Release.key'), key.armoured);
}
