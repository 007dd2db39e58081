// CRI-O of a Kubernetes node: its configuration, and how it is given the images that the disk carries. Pure.
import { LAYOUT_DIRECTORY, LIST_FILE, PRELOAD_DIRECTORY } from './preload.ts';
import { type RuntimeSettings, type RuntimeVariables, toml } from './runtime-variables.ts';

/** Its packages have conf.d/10-crio.conf, which names the signature policy and the OCI runtimes that they bring. */
const CONFIGURATION = '/etc/crio/crio.conf.d/50-image-builder.conf';
/** Read after {@link CONFIGURATION}. */
const PINS = '/etc/crio/crio.conf.d/60-image-builder-preload.conf';
const PIN_PROGRAM = '/usr/lib/image-builder/pin-images';
const UNIT = 'crio';

export function crioVariables(settings: RuntimeSettings): RuntimeVariables {
  return {
    unit: UNIT,
    socket: 'unix:///var/run/crio/crio.sock',
    // Of another minor version it does not work with the kubelet.
    held: ['cri-o'],
    files: [
      { name: CONFIGURATION, content: crioConfig(settings) },
      ...Object.entries(settings.mirrors).map(([registry, urls]) => registryFile(registry, urls)),
    ],
    scripts: [{ name: 'remove-network-of-cri-o', file_content: REMOVE_NETWORKS, run_contexts: ['common'] }],
    importing: {
      packages: ['skopeo'],
      program: IMPORT,
      files: [{ name: PIN_PROGRAM, content: PIN, permissions: '0755' }],
      systemd: [
        {
          name: UNIT,
          file_name: '10-image-builder-preload.conf',
          override: `[Service]\nExecStartPre=-${PIN_PROGRAM}\n`,
          run_contexts: ['common'],
        },
      ],
    },
  };
}

/** https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md */
function crioConfig({ sandboxImage, cgroupDriver }: RuntimeSettings): string {
  // With cgroupfs there are no slices, of which the monitor of a container would be in system.slice.
  const monitor = cgroupDriver === 'cgroupfs' ? '\nconmon_cgroup = "pod"' : '';
  return `[crio.runtime]
cgroup_manager = ${toml(cgroupDriver)}${monitor}

[crio.image]
pause_image = ${toml(sandboxImage)}
`;
}

/**
 * The file that sends a registry's pulls to its mirrors first, in their order
 * (https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md).
 */
function registryFile(registry: string, mirrors: readonly string[]): { name: string; content: string } {
  const blocks = mirrors.map((mirror) => {
    const { protocol, host, pathname } = new URL(mirror);
    const insecure = protocol === 'http:' ? 'insecure = true\n' : '';
    return `\n[[registry.mirror]]\nlocation = ${toml(`${host}${pathname.replace(/\/+$/, '')}`)}\n${insecure}`;
  });
  return {
    name: `/etc/containers/registries.conf.d/${registry}.conf`,
    content: `[[registry]]\nlocation = ${toml(registry)}\n${blocks.join('')}`,
  };
}

// The example of its package would make every node Ready before its network is there, and come before a network of the image's own
// whose name is behind. dpkg leaves a file out of /etc for good once somebody has removed it; one with other content is somebody's.
const REMOVE_NETWORKS = `#!/bin/sh
dpkg-query --show --showformat='\${Conffiles}\\n' cri-o | while read -r file sum _; do
  case $file in
    /etc/cni/net.d/*) [ "$(md5sum <"$file")" != "$sum  -" ] || rm "$file" ;;
  esac
done
`;

// After CRI-O has started: it may have wiped a store that was not shut down in order. It sees what others write to the store.
// Everything was compared with its digest when the disk was made, so that no signature policy has to let it in.
const IMPORT = `#!/bin/sh
# Gives the images of this disk to CRI-O.
set -eu
cd ${PRELOAD_DIRECTORY}
while read -r name digest; do
  skopeo inspect --raw "containers-storage:$name" >/dev/null 2>&1 </dev/null ||
    skopeo copy --quiet --insecure-policy "oci:${LAYOUT_DIRECTORY}:$name" "containers-storage:$name" </dev/null
done <${LIST_FILE}
`;

// Before CRI-O starts: when it reads its configuration again, it forgets that the sandbox image is pinned.
const PIN = `#!/bin/sh
# Tells CRI-O which images the kubelet must not remove to make room: those of this disk.
set -eu
list=${PRELOAD_DIRECTORY}/${LIST_FILE}
[ -e "$list" ] || exit 0
new=/etc/crio/image-builder-preload.new
{
  printf '[crio.image]\\npinned_images = [\\n'
  sed 's/ .*//; s/.*/  "&",/' "$list"
  printf ']\\n'
} >"$new"
mv "$new" ${PINS}
`;
