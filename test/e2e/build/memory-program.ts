// Entry point of a program that opens memory at the directory in its argument, begins a command in it, and stays.
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import { openMemory } from '../../../image-builder/sandbox/tmpfs.ts';

async function main(): Promise<void> {
  const memory = await openMemory(await createLocalSandbox(), process.argv[2] ?? '', 1 << 23);
  if (!memory) throw new Error('there is no memory');
  const onLine = () => process.stdout.write('{"is":"ready"}\n');
  await memory.sandbox.run(['sh', '-c', 'echo ready; sleep 3606'], { onLine });
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
