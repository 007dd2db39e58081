// Runs the role osconfig on a root file system tree.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Document, isScalar, visit } from 'yaml';
import { writeAssets } from '../embedded/write-assets.ts';
import { ENTER_TREE } from '../executors/enter-tree.ts';
import type { StageContext } from '../executors/stage.ts';
import { ToolError } from '../executors/tool-error.ts';
import { withChroot } from '../rootfs/chroot.ts';
import type { ResolvedOsconfig, RunContext, ScriptFile } from '../variables/types.ts';
import { OsconfigError } from './error.ts';

export interface PlaybookOptions {
  /** The unpacked root file system; changed in place. */
  tree: string;
  context: RunContext;
  osconfig: ResolvedOsconfig;
  /** Scripts that run in the tree, in this order. */
  scripts: readonly ScriptFile[];
}

/** Where scripts are while they run; /run is empty on a node's every boot. */
const SCRIPTS_DIRECTORY = '/run/image-builder/scripts';

/** @throws OsconfigError TASK_FAILED with the last lines of the task. */
export async function runOsconfig(options: PlaybookOptions, context: StageContext): Promise<void> {
  const { workDir, report, stage, signal, sourceDateEpoch } = context;
  const directory = join(workDir, 'ansible');
  try {
    await writeAssets('ansible', directory);
    await writeFile(join(directory, 'enter.py'), ENTER_TREE);
    const downloads = join(directory, 'downloads');
    await mkdir(downloads);
    const variables = {
      ...options.osconfig,
      run_context: options.context,
      osconfig_scripts: scriptFiles(options.scripts),
      osconfig_downloads: downloads,
    };
    // For Ansible only: there may be password hashes among the variables.
    await writeFile(join(directory, 'variables.yaml'), toVariablesFile(variables), { mode: 0o600 });
    const argv = [
      'ansible-playbook',
      '--inventory',
      `${options.tree},`,
      '--connection',
      'rootfs',
      '--extra-vars',
      '@variables.yaml',
      'osconfig.yaml',
    ];
    await withChroot(options.tree, argv, context, {
      cwd: directory,
      // What is fetched, and scripts that install packages.
      confined: { writable: [directory], network: true },
      env: {
        ANSIBLE_CONFIG: join(directory, 'ansible.cfg'),
        // Otherwise it leaves directories in the home of whoever builds.
        ANSIBLE_HOME: join(directory, 'home'),
        ANSIBLE_LOCAL_TEMP: join(directory, 'tmp'),
        SOURCE_DATE_EPOCH: String(sourceDateEpoch),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      onLine: (line) => {
        report({ type: 'output', stage, line });
        const task = /^TASK \[(?:\w+ : )?(.*)\] \**$/.exec(line)?.[1];
        if (task !== undefined) report({ type: 'step', stage, message: task });
      },
      signal,
    });
  } catch (error) {
    throw explain(error);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The scripts as files; their names carry the order. */
function scriptFiles(scripts: readonly ScriptFile[]) {
  return scripts.map(({ name, content }, index) => ({
    name: `${SCRIPTS_DIRECTORY}/${String(index + 1).padStart(3, '0')}-${name.replace(/[^\w.-]/g, '_')}`,
    file_content: content.startsWith('#!') ? content : `#!/bin/sh\n${content}`,
    owner: 'root',
    group: 'root',
    permissions: '0700',
  }));
}

/** YAML in which no text is a template: variables have been rendered, what looks like a template is meant literally. */
export function toVariablesFile(variables: unknown): string {
  const document = new Document(variables, { aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (key, node) => {
      if (key !== 'key' && isScalar(node) && typeof node.value === 'string' && /\{[{%#]/.test(node.value)) {
        node.tag = '!unsafe';
      }
    },
  });
  // All text in quotes: Ansible reads YAML 1.1, in which a plain `on` or `1:30` is no text.
  return document.toString({ lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

function explain(error: unknown): unknown {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return error;
  const lines = error.output ?? [];
  const start = lines.findLastIndex((line) => line.startsWith('TASK ['));
  const recap = lines.findIndex((line) => line.startsWith('PLAY RECAP'));
  const task = /^TASK \[(?:\w+ : )?(.*)\]/.exec(lines[start] ?? '')?.[1];
  return new OsconfigError('TASK_FAILED', `osconfig failed${task ? ` at "${task}"` : ''}`, {
    cause: error,
    output: start < 0 ? lines : lines.slice(start + 1, recap < 0 ? undefined : recap),
  });
}
