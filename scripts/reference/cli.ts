// docs/reference/cli.md, from the commands themselves.
import type { Argument, Command, Option } from 'commander';
import { COMMANDS } from '../../image-builder/cli/commands.ts';
import { createProgram } from '../../image-builder/cli/run-program.ts';

/** Markdown of all commands that are shown in the help, in its order. */
export function cliReference(): string {
  const program = createProgram(COMMANDS);
  const sections = program.commands.flatMap((command) => describe(command, 'image-builder'));
  return [
    '# Command line',
    'Every command, as described by `--help`. Results go to standard output, everything else to standard error. The exit status is 0 only if the command succeeded.',
    '## Options of every command',
    optionTable(program.options),
    ...sections,
  ].join('\n\n');
}

function describe(command: Command, parent: string): string[] {
  if ((command as Command & { _hidden?: boolean })._hidden) return [];
  const name = `${parent} ${command.name()}`;
  const parts = [
    `## ${name}`,
    sentence(command.description()),
    `    ${name} ${command.usage()}`,
    argumentTable(command.registeredArguments),
    optionTable(command.options),
    textAfter(command),
  ];
  return [
    parts.filter((part) => part !== '').join('\n\n'),
    ...command.commands.flatMap((child) => describe(child, name)),
  ];
}

const sentence = (text: string): string =>
  text === '' ? '' : `${text[0]?.toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');

function table(head: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return '';
  return [
    `| ${head} | |`,
    '| --- | --- |',
    ...rows.map(([name, text]) => `| \`${name}\` | ${cell(text)} |`),
  ].join('\n');
}

const argumentTable = (list: readonly Argument[]): string =>
  table(
    'argument',
    list.map((one) => [one.required ? `<${one.name()}>` : `[${one.name()}]`, one.description]),
  );

const optionTable = (list: readonly Option[]): string =>
  table(
    'option',
    list
      .filter(({ hidden }) => !hidden)
      .map((one) => [one.flags.replaceAll('|', '\\|'), one.description + furtherWords(one)]),
  );

function furtherWords({ argChoices, defaultValue, negate }: Option): string {
  const words = [
    ...(argChoices ? [`one of ${argChoices.join(', ')}`] : []),
    ...(defaultValue !== undefined && !negate ? [`default ${JSON.stringify(defaultValue)}`] : []),
  ];
  return words.length > 0 ? ` (${words.join('; ')})` : '';
}

/** What a command adds to its help after the options. */
function textAfter(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  const after = text.slice(command.helpInformation().length).trim();
  return after === '' ? '' : ['```text', after, '```'].join('\n');
}
