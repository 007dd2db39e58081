import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import type { SandboxMode } from '../../../image-builder/sandbox/sandbox.ts';
import { ToolError } from '../../../image-builder/sandbox/tool-error.ts';

const directory = mkdtempSync(join(tmpdir(), 'sandbox-'));
afterAll(() => rmSync(directory, { recursive: true }));

const commandLines = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });

test('the mode is the one that works here', async () => {
  const { mode } = await createLocalSandbox();
  expect(process.getuid?.() === 0 ? ['namespaces', 'plain'] : ['user-namespaces']).toContain(mode);
});

// Root need not have subordinate ids: user namespaces are tested when an ordinary user runs this.
const modes: SandboxMode[] = process.getuid?.() === 0 ? ['namespaces', 'plain'] : ['user-namespaces'];

describe.each(modes)('mode %s', (mode) => {
  test('runs as root, returns standard output, reports lines of both streams', async () => {
    const sandbox = await createLocalSandbox({ mode });
    const lines: string[] = [];
    const output = await sandbox.run(['sh', '-c', 'id -u; echo $GIVEN >&2; cat'], {
      env: { GIVEN: 'given' },
      input: 'text\n',
      onLine: (line) => lines.push(line),
    });
    expect(output).toBe('0\ntext\n');
    expect([...lines].sort()).toEqual(['0', 'given', 'text']);
  });

  test('a failure carries the last lines, without credentials', async () => {
    const sandbox = await createLocalSandbox({ mode });
    const error = await sandbox
      .run(['sh', '-c', 'seq 100; echo http://u:p@host >&2; exit 7'])
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ToolError);
    expect(error).toMatchObject({ code: 'TOOL_FAILED', exitCode: 7 });
    const { output = [] } = error as ToolError;
    expect(output).toContain('http://***@host');
    expect(output).toContain('100');
    expect(output).not.toContain('1');
  });

  test('abort ends everything that the command started', async () => {
    const sandbox = await createLocalSandbox({ mode });
    const controller = new AbortController();
    const marker = join(directory, `fifo-${mode}-${process.pid}`);
    const started = sandbox.run(['sh', '-c', `sleep 3607 & sleep 3608 & echo up; wait; : ${marker}`], {
      onLine: () => controller.abort(),
      signal: controller.signal,
    });
    await expect(started).rejects.toMatchObject({ code: 'CANCELLED' });
    for (let attempt = 0; commandLines().includes('sleep 360') && attempt < 50; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(commandLines()).not.toMatch(/sleep 360[78]/);
    expect(commandLines()).not.toContain(marker);
  });

  test('a tool that is missing is named', async () => {
    const sandbox = await createLocalSandbox({ mode });
    await expect(sandbox.run(['no-such-tool'])).rejects.toThrow(/no-such-tool/);
  });
});

test('mounts end with the command', async () => {
  const sandbox = await createLocalSandbox();
  if (sandbox.mode === 'plain') return;
  await sandbox.run([
    'sh',
    '-c',
    `mount -t tmpfs sandbox-test ${directory} && grep -q sandbox-test /proc/mounts`,
  ]);
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain('sandbox-test');
});
