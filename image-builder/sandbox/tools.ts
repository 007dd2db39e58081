// Which tools a build needs, and which Debian package has each: all missing ones are reported at once, before
// anything is built.
import { CONTROL_PLANE_ADVICE, missingControlPlanePrograms } from './control-plane-programs.ts';
import { findExecutable, toolPath } from './environment.ts';
import { ToolError } from './tool-error.ts';

/** What a build does, as far as its tools depend on it. */
export type Task =
  | 'sandbox'
  | 'rootfs'
  | 'osconfig'
  | 'qcow'
  | 'xfs'
  | 'iso'
  | 'boot-test-amd64'
  | 'boot-test-arm64'
  | 'config-drive'
  | 'control-plane';

/** Tool → Debian package. */
const TOOLS: Record<Task, Record<string, string>> = {
  sandbox: {
    setpriv: 'util-linux',
    unshare: 'util-linux',
    nsenter: 'util-linux',
    mount: 'mount',
    tar: 'tar',
    python3: 'python3',
    sh: 'dash',
  },
  rootfs: { mmdebstrap: 'mmdebstrap', 'apt-get': 'apt', 'dpkg-deb': 'dpkg', gpgv: 'gpgv', xz: 'xz-utils' },
  osconfig: { 'ansible-playbook': 'ansible-core', chroot: 'coreutils' },
  qcow: {
    sfdisk: 'fdisk',
    mke2fs: 'e2fsprogs',
    debugfs: 'e2fsprogs',
    'mkfs.vfat': 'dosfstools',
    mmd: 'mtools',
    mcopy: 'mtools',
    'grub-mkimage': 'grub-common',
    'qemu-img': 'qemu-utils',
  },
  xfs: { 'mkfs.xfs': 'xfsprogs', xfs_db: 'xfsprogs', python3: 'python3' },
  iso: { mksquashfs: 'squashfs-tools', xorriso: 'xorriso', 'mkfs.vfat': 'dosfstools', mcopy: 'mtools' },
  'boot-test-amd64': { 'qemu-system-x86_64': 'qemu-system-x86' },
  'boot-test-arm64': { 'qemu-system-aarch64': 'qemu-system-arm' },
  'config-drive': { xorriso: 'xorriso' },
  'control-plane': { setpriv: 'util-linux', python3: 'python3' },
};

/** A tool that is not there. */
export interface MissingTool {
  tool: string;
  /** The Debian package that has it. */
  package: string;
}

/** The tools of `tasks` that are in none of `directories` (default: PATH and the sbin directories), in order. */
export function findMissingTools(
  tasks: readonly Task[],
  directories: readonly string[] = toolPath(process.env.PATH),
): MissingTool[] {
  const needed = new Map(tasks.flatMap((task) => Object.entries(TOOLS[task])));
  if (process.getuid?.() !== 0 && tasks.includes('sandbox')) needed.set('newuidmap', 'uidmap');
  return [...needed]
    .filter(([tool]) => findExecutable(tool, directories) === undefined)
    .map(([tool, debianPackage]) => ({ tool, package: debianPackage }))
    .sort((a, b) => (a.tool < b.tool ? -1 : 1));
}

/**
 * Does nothing when every tool of `tasks` is there.
 * @throws ToolError that names all missing tools and how to get them.
 */
export function requireTools(tasks: readonly Task[], directories?: readonly string[]): void {
  const missing = findMissingTools(tasks, directories);
  const programs = tasks.includes('control-plane') ? missingControlPlanePrograms(directories) : [];
  if (missing.length + programs.length === 0) return;
  const names = [
    ...missing.map((one) => `${one.tool} (Debian package ${one.package})`),
    ...programs.map((name) => `${name} (of the control plane that a node is to join)`),
  ];
  const packages = [...new Set(missing.map((one) => one.package))].sort().join(' ');
  const hints = [
    ...(packages ? [`apt-get install --no-install-recommends ${packages}`] : []),
    ...(programs.length > 0 ? [`${CONTROL_PLANE_ADVICE}.`] : []),
  ];
  throw new ToolError('TOOL_MISSING', `tools are missing: ${names.join(', ')}`, { hint: hints.join('\n') });
}
