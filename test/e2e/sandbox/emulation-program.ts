// Runs busybox of another architecture in the directory argv[2] and writes what machine it sees to the file argv[3].
import { writeFileSync } from 'node:fs';
import { enterTree } from '../../../image-builder/sandbox/enter-tree.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';

async function main(root: string, output: string): Promise<void> {
  const sandbox = await createLocalSandbox({ architecture: 'arm64' });
  writeFileSync(
    output,
    await sandbox.run(enterTree(root, ['/usr/bin/busybox', 'uname', '-m']), {
      confined: { writable: [root] },
    }),
  );
}

main(process.argv[2] ?? '', process.argv[3] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
