// Started where /proc shows the ids of another PID namespace: what the sandbox makes of that, as JSON, by the file argv[2].
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { openMemory } from '../../../image-builder/sandbox/tmpfs.ts';

async function main(directory: string): Promise<void> {
  mkdirSync(join(directory, 'room'));
  const sandbox = await createLocalSandbox();
  const memory = await openMemory(sandbox, join(directory, 'memory'), 1 << 20);
  const confined = { writable: [join(directory, 'room')] };
  const script = 'echo written > "$1/file"; readlink /proc/self > /dev/null && echo ran';
  const output = await sandbox.run(['sh', '-euc', script, 'sh', confined.writable[0] ?? ''], { confined });
  const result = { pid: process.pid, hasMemory: memory !== undefined, output };
  writeFileSync(join(directory, 'result.json'), JSON.stringify(result));
  await memory?.close();
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
