// Runs the role osconfig on a root file system tree.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Document, isScalar, visit } from 'yaml';
import { quoteKernelArguments } from '../../disk/grub-config.ts';
import { writeAssets } from '../../embedded/write-assets.ts';
import { ENTER_TREE } from '../../sandbox/enter-tree.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { kernelArgument } from '../../spec/api/kernel-arguments.ts';
import type { ResolvedOsconfig, RunContext, ScriptFile } from '../../spec/variables/resolved-osconfig.ts';
import { loginOf, withoutCredentials } from '../../spec/variables/uri.ts';
import { withChroot } from '../rootfs/chroot.ts';
import { changedSettings } from './differences.ts';
import { OsconfigError } from './osconfig-error.ts';

export interface PlaybookOptions {
  /** The unpacked root file system; changed in place. */
  tree: string;
  context: RunContext;
  osconfig: ResolvedOsconfig;
  /** What the tree has been configured with already: settings of the same value are left as they are. */
  before?: ResolvedOsconfig;
  /** Scripts that run in the tree, in this order. */
  scripts: readonly LabelledScript[];
}

/** A script, and what its author knows it by: a variable or a file of the manifests. */
export interface LabelledScript extends ScriptFile {
  /** `user_scripts[1]`, `scripts/common/10-network`. */
  label: string;
}

/** Where scripts are while they run; /run is empty on a node's every boot. */
const SCRIPTS_DIRECTORY = '/run/image-builder/scripts';

/** @throws OsconfigError TASK_FAILED with the last lines of the task. */
export async function runOsconfig(options: PlaybookOptions, context: StageContext): Promise<void> {
  const { workDir, step, output, signal, sourceDateEpoch } = context;
  const directory = join(workDir, 'ansible');
  const log = followLog();
  try {
    await writeAssets('stages/osconfig/ansible', directory);
    await writeFile(join(directory, 'enter.py'), ENTER_TREE);
    const downloads = join(directory, 'downloads');
    await mkdir(downloads);
    const variables = {
      ...options.osconfig,
      fetch_from_url: options.osconfig.fetch_from_url.map(withSeparateLogin),
      run_context: options.context,
      osconfig_changes: options.before ? changedSettings(options.osconfig, options.before) : null,
      osconfig_kernel_arguments: quoteKernelArguments(
        options.osconfig.grub.GRUB_CMDLINE_LINUX_DEFAULT.map(({ name, value }) =>
          kernelArgument(name, value),
        ),
      ),
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
        ANSIBLE_STDOUT_CALLBACK: 'build',
        SOURCE_DATE_EPOCH: String(sourceDateEpoch),
        PYTHONDONTWRITEBYTECODE: '1',
      },
      onLine: (line) => {
        output(line);
        const task = log.add(line);
        if (task !== undefined) step(task);
      },
      signal,
    });
  } catch (error) {
    throw explain(error, log);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Ansible shows the address of what it cannot fetch, and never the parameter that is a password. */
function withSeparateLogin({ url, ...item }: ResolvedOsconfig['fetch_from_url'][number]) {
  return { ...item, url: withoutCredentials(url), ...loginOf(url) };
}

/** The scripts as files; their names carry the order. */
function scriptFiles(scripts: readonly LabelledScript[]) {
  return scripts.map(({ name, content, label }, index) => ({
    label,
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
  // All text in quotes: Ansible reads YAML 1.1, in which a plain `on` or `1:30` is not text.
  return document.toString({ lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

/** How many lines of a failed task an error shows. */
const SHOWN = 20;
/** How many of those that came before the reason, beside it. */
const SHOWN_BEFORE = 5;

/** What Ansible's log (callback_plugins/build.py) has said last. */
function followLog() {
  const said = /^ {2}/;
  let task: string | undefined;
  let failure: { label: string; status: string | undefined; reason: string[] } | undefined;
  let before: string[] = [];
  return {
    /** @returns the name of the task that begins with this line */
    add(line: string): string | undefined {
      const begun = /^TASK \[(.*)\]$/.exec(line)?.[1];
      const failed = /^FAILED \[(.*)\](?: status (\d+))?$/.exec(line);
      if (begun !== undefined) {
        task = begun;
        before = [];
      } else if (failed) failure = { label: failed[1] ?? '', status: failed[2], reason: [] };
      // What programs have said is indented; Ansible's own warnings are not.
      else if (failure && said.test(line)) failure.reason = [...failure.reason, line.slice(2)].slice(-SHOWN);
      else before = [...before, line.replace(said, '')].slice(-SHOWN);
      return begun;
    },
    /** The reason first, then the end of what was said before it. */
    end: () => ({
      task,
      label: failure?.label ?? '',
      status: failure?.status,
      lines: failure?.reason.length ? [...failure.reason, ...before.slice(-SHOWN_BEFORE)] : before,
    }),
  };
}

function explain(error: unknown, log: ReturnType<typeof followLog>): unknown {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return error;
  const { task, label, status, lines } = log.end();
  const where = task === undefined ? '' : ` at "${task}"`;
  const what = label === '' ? '' : `: ${label}${status === undefined ? '' : ` ended with status ${status}`}`;
  return new OsconfigError('TASK_FAILED', `osconfig failed${where}${what}`, {
    cause: error,
    output: lines.length > 0 ? lines : (error.output ?? []),
  });
}
