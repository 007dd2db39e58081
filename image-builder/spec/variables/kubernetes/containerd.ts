// The configuration of containerd's CRI plugin for a Kubernetes node. Pure.

/** What a node needs of containerd beyond its defaults. */
export interface ContainerdSettings {
  sandboxImage: string;
  cgroupDriver: 'systemd' | 'cgroupfs';
}

/** Where the addresses of registries and their mirrors are (https://github.com/containerd/containerd/blob/main/docs/hosts.md). */
const HOSTS_DIRECTORY = '/etc/containerd/certs.d';

/**
 * config.toml in the form of containerd 1.x (version 2) or 2.x (version 3). Files in conf.d are read besides.
 * containerd 2 takes both.
 */
export function containerdConfig(version: 2 | 3, { sandboxImage, cgroupDriver }: ContainerdSettings): string {
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
export function hostsFile(registry: string, mirrors: readonly string[]): { name: string; content: string } {
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

/** A basic string; JSON's escapes are among TOML's. */
const toml = (text: string): string => JSON.stringify(text);
