// containerd of a Kubernetes node: the configuration of its CRI plugin, and how it is given the images that the disk carries. Pure.
import { CONTAINERD_2_SINCE, type KubernetesVersion } from './minors.ts';
import { LAYOUT_DIRECTORY, LIST_FILE, PRELOAD_DIRECTORY } from './preload.ts';
import { type RuntimeSettings, type RuntimeVariables, toml } from './runtime-variables.ts';

/** Where the addresses of registries and their mirrors are (https://github.com/containerd/containerd/blob/main/docs/hosts.md). */
const HOSTS_DIRECTORY = '/etc/containerd/certs.d';

export function containerdVariables(
  { number }: KubernetesVersion,
  settings: RuntimeSettings,
): RuntimeVariables {
  const config = containerdConfig(number < CONTAINERD_2_SINCE ? 2 : 3, settings);
  return {
    unit: 'containerd',
    socket: 'unix:///run/containerd/containerd.sock',
    held: [],
    files: [
      { name: '/etc/containerd/config.toml', content: config },
      ...Object.entries(settings.mirrors).map(([registry, urls]) => hostsFile(registry, urls)),
    ],
    scripts: [],
    importing: { packages: [], program: IMPORT, files: [], systemd: [] },
  };
}

/**
 * config.toml in the form of containerd 1.x (version 2) or 2.x (version 3). Files in conf.d are read besides.
 * containerd 2 takes both.
 */
function containerdConfig(version: 2 | 3, { sandboxImage, cgroupDriver }: RuntimeSettings): string {
  const systemd = cgroupDriver === 'systemd';
  const imports = 'imports = ["/etc/containerd/conf.d/*.toml"]';
  if (version === 2) {
    const plugin = 'plugins."io.containerd.grpc.v1.cri"';
    return `version = 2
${imports}

[${plugin}]
  sandbox_image = ${toml(sandboxImage)}

[${plugin}.registry]
  config_path = ${toml(HOSTS_DIRECTORY)}

[${plugin}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[${plugin}.containerd.runtimes.runc.options]
  SystemdCgroup = ${systemd}
`;
  }
  const images = 'plugins."io.containerd.cri.v1.images"';
  const runtime = 'plugins."io.containerd.cri.v1.runtime"';
  return `version = 3
${imports}

[${images}.pinned_images]
  sandbox = ${toml(sandboxImage)}

[${images}.registry]
  config_path = ${toml(HOSTS_DIRECTORY)}

[${runtime}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[${runtime}.containerd.runtimes.runc.options]
  SystemdCgroup = ${systemd}
`;
}

/**
 * The file that sends a registry's pulls to its mirrors first, in their order.
 * @param mirrors base URLs; a path in one is the beginning of the repositories' names there
 */
function hostsFile(registry: string, mirrors: readonly string[]): { name: string; content: string } {
  const server = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const hosts = mirrors.map((mirror) => {
    const { origin, pathname } = new URL(mirror);
    const path = pathname.replace(/\/+$/, '');
    // containerd would put /v2 behind the path, where no registry has its API.
    const [host, override] = path === '' ? [origin, ''] : [`${origin}/v2${path}`, '  override_path = true\n'];
    return `\n[host.${toml(host)}]\n  capabilities = ["pull", "resolve"]\n${override}`;
  });
  return {
    name: `${HOSTS_DIRECTORY}/${registry}/hosts.toml`,
    content: `server = ${toml(`https://${server}`)}\n${hosts.join('')}`,
  };
}

// Imported again only if one is missing: after "kubeadm reset" and an emptied /var/lib/containerd, too.
const IMPORT = `#!/bin/sh
# Gives the images of this disk to containerd, and pins them, so that the kubelet does not remove them to make room.
set -eu
cd ${PRELOAD_DIRECTORY}
images() { ctr --namespace k8s.io images "$@"; }
if ! images list | awk 'NR == FNR { has[$1 " " $3] = 1; next } !(($1 " " $2) in has) { exit 1 }' - ${LIST_FILE}; then
  tar --create --directory=${LAYOUT_DIRECTORY} . | images import -
fi
while read -r name digest; do
  images label "$name" io.cri-containerd.pinned=pinned >/dev/null
done <${LIST_FILE}
`;
