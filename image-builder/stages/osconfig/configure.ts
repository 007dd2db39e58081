// Configures root file systems: the one that all images share, and the tree of one QCOW in place.
import { stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { StageRun } from '../../pipeline/stage-runner.ts';
import { roomFor, type StageContext } from '../../sandbox/stage-context.ts';
import type {
  ResolvedOsconfig,
  ResolvedScript,
  RunContext,
  ScriptFile,
} from '../../spec/variables/resolved-osconfig.ts';
import { digestFile } from '../../store/entry-files.ts';
import { dropAccessLists, packTree, unpackTree } from '../rootfs/archive.ts';
import { cleanTree } from '../rootfs/clean.ts';
import { ROOTFS_FILE } from '../rootfs/rootfs-entry.ts';
import { qcowDiffers } from './differences.ts';
import { makeInitramfs } from './initramfs.ts';
import { fingerprintInitramfs } from './initramfs-fingerprint.ts';
import { type LabelledScript, runOsconfig } from './playbook.ts';

/** A root file system to configure, and how. */
export interface RootfsConfiguration {
  /** rootfs.tar of the stage rootfs. */
  parent: string;
  /** The same unpacked, when it is still there; changed in place. */
  tree?: string;
  /** Copies the configured tree for others. */
  copyTree?: StageRun['copyTree'];
  osconfig: ResolvedOsconfig;
  /** scripts/common of the manifests. */
  scripts: readonly ScriptFile[];
  /** Directory that outlives the build, for the initramfs; none: it is always made. */
  cacheDir?: string;
}

/**
 * Writes `rootfs.tar` to the output directory: the parent with the items of osconfig of context `common`, and with its
 * initramfs.
 * @returns the tree, still unpacked, and the SHA-256 of the file
 * @throws OsconfigError, ToolError
 */
export async function configureRootfs(
  inputs: RootfsConfiguration,
  context: StageContext,
): Promise<{ tree: string; digests: Record<string, string> }> {
  const { osconfig, scripts, cacheDir } = inputs;
  const tree = inputs.tree ?? (await unpackRootfs(inputs.parent, context));
  await runOsconfig(
    {
      tree,
      context: 'common',
      osconfig,
      scripts: commonScripts(osconfig, scripts),
    },
    context,
  );
  context.step('make the initramfs');
  await makeInitramfs(tree, cacheDir, context);
  await cleanTree(tree, context, ownIdentity(osconfig));
  context.step('pack the root file system');
  const archive = join(context.outputDir, ROOTFS_FILE);
  const [, copies = []] = await Promise.all([
    packTree(tree, archive, context),
    inputs.copyTree?.(tree, await sizeWithSpare(inputs.parent)),
  ]);
  const [sha256] = await Promise.all([
    digestFile(archive, context.signal),
    ...[tree, ...copies].map((path) => dropAccessLists(path, context)),
  ]);
  return { tree, digests: { [ROOTFS_FILE]: sha256 } };
}

/** Unpacks a rootfs.tar; returns the tree. */
export async function unpackRootfs(archive: string, context: StageContext): Promise<string> {
  const tree = join(await roomFor(await sizeWithSpare(archive), context), 'tree');
  context.step('unpack the root file system');
  await unpackTree(archive, tree, context);
  return tree;
}

/** Bytes that the tree in an archive takes once it has been configured. */
async function sizeWithSpare(archive: string): Promise<number> {
  return (await stat(archive)).size * 1.25 + SPARE_BYTES;
}

/** What configuration may add to a tree: packages of a script, a new initramfs. */
const SPARE_BYTES = 256 * 1024 ** 2;

/** The tree of a QCOW to configure, and how. */
export interface QcowTreeConfiguration {
  /** Unpacked rootfs.tar of the stage osconfig; changed in place. */
  tree: string;
  /** The variables of the QCOW, those of the root file system among them. */
  osconfig: ResolvedOsconfig;
  /** The variables that the tree has been configured with. */
  common: ResolvedOsconfig;
  /** scripts/qcow of the manifests. */
  scripts: readonly ScriptFile[];
  /** `qcow_container_runtime_scripts`; they run last. */
  runtimeScripts: readonly ResolvedScript[];
  cacheDir?: string;
}

/**
 * Configures the tree of one QCOW in place: the items of osconfig of context `qcow`.
 * @throws OsconfigError, ToolError
 */
export async function configureQcowTree(inputs: QcowTreeConfiguration, context: StageContext): Promise<void> {
  const { tree, osconfig, common, cacheDir } = inputs;
  const scripts = qcowScripts(inputs);
  // Ansible takes more than a second to find out that there is nothing to do.
  if (scripts.length === 0 && !qcowDiffers(osconfig, common)) return;
  const before = await fingerprintInitramfs(tree, context);
  await runOsconfig({ tree, context: 'qcow', osconfig, before: common, scripts }, context);
  // Most QCOWs differ in ways that do not concern the initramfs.
  const after = await fingerprintInitramfs(tree, context);
  if (after.hash !== before.hash) await makeInitramfs(tree, cacheDir, context, after);
  await cleanTree(tree, context, ownIdentity(osconfig, common));
}

/** The name is what packages were installed with, or somebody has set it; name servers are often set for a moment only. */
function ownIdentity(...configurations: readonly ResolvedOsconfig[]): ('hostname' | 'resolv.conf')[] {
  const paths = configurations.flatMap(({ files, fetch_from_url }) => [
    ...files.map(({ name }) => name),
    ...fetch_from_url.map(({ dest }) => dest),
  ]);
  return paths.some((path) => posix.normalize(path) === '/etc/resolv.conf')
    ? ['hostname', 'resolv.conf']
    : ['hostname'];
}

/** The scripts that run on the common root file system, in their order. */
export function commonScripts(osconfig: ResolvedOsconfig, scripts: readonly ScriptFile[]): LabelledScript[] {
  return [...manifestScripts(scripts, 'common'), ...scriptsOf(osconfig.user_scripts, 'common')];
}

/** The same on the tree of one QCOW. */
export function qcowScripts({
  osconfig,
  scripts,
  runtimeScripts,
}: Pick<QcowTreeConfiguration, 'osconfig' | 'scripts' | 'runtimeScripts'>): LabelledScript[] {
  return [
    ...manifestScripts(scripts, 'qcow'),
    ...scriptsOf(osconfig.user_scripts, 'qcow'),
    ...runtimeScripts.map(({ name, file_content }, index) => ({
      name,
      content: file_content,
      label: labelOf('qcow_container_runtime_scripts', index, name),
    })),
  ];
}

const manifestScripts = (scripts: readonly ScriptFile[], context: RunContext): LabelledScript[] =>
  scripts.map((script) => ({ ...script, label: `scripts/${context}/${script.name}` }));

const scriptsOf = (scripts: readonly ResolvedScript[], context: RunContext): LabelledScript[] =>
  scripts.flatMap(({ name, file_content, run_contexts }, index) =>
    run_contexts.includes(context)
      ? [{ name, content: file_content, label: labelOf('user_scripts', index, name) }]
      : [],
  );

/** The item of the merged list, and the name that somebody has given it. */
function labelOf(variable: string, index: number, name: string): string {
  return `${variable}[${index}]${name === `script-${index + 1}` ? '' : ` (${name})`}`;
}
