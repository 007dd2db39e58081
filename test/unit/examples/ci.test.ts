// The pipelines of examples/ci say what the command line and the schema take.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { parse } from 'yaml';
import { COMMANDS } from '../../../image-builder/cli/commands.ts';
import { parseImageBuilder } from '../../../image-builder/spec/api/validate.ts';

const directory = join(__dirname, '../../../examples/ci');
const read = (path: string) => readFileSync(join(directory, path), 'utf8');
const files = ['github/images.yaml', 'playbooks/build.yaml', 'playbooks/publish.yaml'];

/** Every string in a YAML document. */
function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [];
}

/** Words of each call of the command line; what is filled in later is one word. */
function invocations(file: string): string[][] {
  return strings(parse(read(file)))
    .map((text) => text.replace(/\{\{ \w*timeout \}\}/g, '300'))
    .map((text) => text.replace(/\$\{\{.*?\}\}|\{\{.*?\}\}|\$\{.*?\}|\$\w+/g, 'x'))
    .flatMap((text) => text.split('\n'))
    .filter((line) => /^\s*dist\/image-builder /.test(line))
    .map((line) => line.trim().split(/\s+/).slice(1));
}

/** The command line, which parses and does nothing. */
function program(): { run: (words: string[]) => void; called: string[] } {
  const called: string[] = [];
  const root = new Command('image-builder');
  for (const register of COMMANDS) register(root);
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {} });
    command.action(() => {
      called.push(command.name());
    });
    command.commands.forEach(quiet);
  };
  root.commands.forEach(quiet);
  root.exitOverride().configureOutput({ writeErr: () => {} });
  return { run: (words) => root.parse(words, { from: 'user' }), called };
}

test('every call is one that the program takes', () => {
  const { run, called } = program();
  for (const words of files.flatMap(invocations)) run(words);
  expect(called).toEqual(['build', 'tag', 'build', 'push', 'tag']);
});

test('a call with an unknown option or too many arguments would be noticed', () => {
  const { run } = program();
  expect(() => run(['push', 'a'])).toThrow();
  expect(() => run(['push', 'a', 'b', 'c'])).toThrow();
  expect(() => run(['tag', '--no-such-option', 'a', 'b'])).toThrow();
});

test('the specification of GitHub Actions is valid, for pushes and for pull requests', async () => {
  const [, heredoc = ''] = /<<EOF\n([\s\S]*?)\n\s*EOF\n/.exec(read('github/images.yaml')) ?? [];
  for (const push of ['true', 'false']) {
    const text = heredoc
      .replace(/\$\{\{ github.event_name == 'push' \}\}/, push)
      .replaceAll('$REPOSITORY', 'ghcr.io/site/qcow-bundle')
      .replace(/\$\{\{.*?\}\}/g, 'k8s-1.34')
      .replace(/\$\{.*?\}/g, 'abc');
    const { spec } = await parseImageBuilder(parse(text));
    expect(spec.build?.bundle).toEqual({
      repository: 'ghcr.io/site/qcow-bundle',
      tag: 'k8s-1.34-abc',
      push: push === 'true',
      disks: true,
    });
  }
});

test('the specification of Zuul is valid, and its layout is what is pushed', async () => {
  const [play] = parse(read('playbooks/build.yaml'));
  const text = JSON.stringify(play.vars.spec).replaceAll('{{ image_profile }}', 'k8s-1.34');
  const { spec } = await parseImageBuilder(JSON.parse(text));
  expect(spec.build?.bundle).toEqual({ layout: 'out', tag: 'k8s-1.34' });
  const pushed = invocations('playbooks/publish.yaml').find(([command]) => command === 'push');
  expect(pushed?.[1]).toBe('oci:out:x');
});
