// What the schema cannot say about the configuration of the operating system.
import type { Finding } from '../../base/diagnostics/error.ts';
import { kernelArgumentProblem, kernelArguments } from '../api/kernel-arguments.ts';
import type { LivecdcontentVariables, OsconfigVariables, QcowVariables } from '../api/types.ts';
import { unitName } from './osconfig.ts';
import type { Layer } from './overrides.ts';
import { vanishes } from './vanishing-paths.ts';
import { type Report, reportTo } from './variable-files.ts';

/** Findings about a layer of the roles osconfig, livecdcontent or qcow whose values fit the schema. */
export function checkOsconfig(layer: Layer): Finding[] {
  const findings: Finding[] = [];
  const report = reportTo(findings, layer);
  const variables = layer.values as Variables;
  checkKernelArguments(variables, report);
  for (const suffix of ['', '_append'] as const) {
    checkPaths(variables, suffix, report);
    checkUnits(variables, suffix, report);
    checkScripts(variables[`user_scripts${suffix}`], [`user_scripts${suffix}`], report);
  }
  checkScripts(variables.qcow_container_runtime_scripts, ['qcow_container_runtime_scripts'], report);
  return findings;
}

type Variables = OsconfigVariables & LivecdcontentVariables & QcowVariables;
type Suffix = '' | '_append';

function checkPaths(variables: Variables, suffix: Suffix, report: Report): void {
  const paths = [
    { list: `directories${suffix}`, field: 'name', kind: 'directory' },
    { list: `files${suffix}`, field: 'name', kind: 'file' },
    { list: `fetch_from_url${suffix}`, field: 'dest', kind: 'file' },
  ] as const;
  for (const { list, field, kind } of paths) {
    const items: readonly { name?: string; dest?: string }[] = variables[list] ?? [];
    for (const [index, { [field]: path }] of items.entries()) {
      const reason = path === undefined ? undefined : vanishes(path, kind);
      if (reason) report([list, index, field], `is ${path}, which ${reason}`);
    }
  }
}

/** systemd reads a file by its suffix; one without is ignored. */
function checkUnits(variables: Variables, suffix: Suffix, report: Report): void {
  const list = `systemd${suffix}` as const;
  for (const [index, { file_name, file_content, override }] of (variables[list] ?? []).entries()) {
    if (file_name === undefined) continue;
    const isWhole = file_content !== undefined;
    const isRead = isWhole ? unitName(file_name) === file_name : file_name.endsWith('.conf');
    if (isRead || (!isWhole && override === undefined)) continue;
    const expected = isWhole ? 'a unit suffix, such as .service' : 'the suffix .conf of a drop-in';
    report([list, index, 'file_name'], `is ${JSON.stringify(file_name)}, expected ${expected}`);
  }
}

function checkScripts(
  scripts: OsconfigVariables['user_scripts'],
  path: readonly (string | number)[],
  report: Report,
): void {
  for (const [index, { file_content }] of (scripts ?? []).entries()) {
    const problem = scriptProblem(file_content);
    if (problem) report([...path, index, 'file_content'], problem);
  }
}

/** What keeps a script from running; undefined when nothing does that can be seen. */
export function scriptProblem(content: string): string | undefined {
  return /^[^\n]*\r(\n|$)/.test(content)
    ? 'has Windows line endings (CR LF), so its interpreter would not be found; save it with Unix line endings'
    : undefined;
}

function checkKernelArguments(
  { grub, grub_cmdline_linux_default_append, livecd_cmdline = '' }: Variables,
  report: Report,
): void {
  const lists = [
    { path: ['grub', 'GRUB_CMDLINE_LINUX_DEFAULT'], items: grub?.GRUB_CMDLINE_LINUX_DEFAULT ?? [] },
    { path: ['grub_cmdline_linux_default_append'], items: grub_cmdline_linux_default_append ?? [] },
  ];
  for (const { path, items } of lists) {
    for (const [index, { name, value }] of items.entries()) {
      const problem = kernelArgumentProblem(name, value === undefined ? undefined : String(value));
      if (problem) report([...path, index], problem);
    }
  }
  for (const argument of kernelArguments(livecd_cmdline)) {
    const problem = kernelArgumentProblem(argument);
    if (problem) report(['livecd_cmdline'], `its argument ${JSON.stringify(argument)} ${problem}`);
  }
}
