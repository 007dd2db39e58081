// Entry point of a program that runs the stages rootfs and osconfig: for tests that run them as another user.
// Its argument is a file with {directory, build: ResolvedBuild, scripts}; without scripts, rootfs is all that runs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResolvedBuild } from '../../../image-builder/spec/variables/resolved.ts';
import type { ScriptFile } from '../../../image-builder/spec/variables/resolved-osconfig.ts';
import { configureRootfs } from '../../../image-builder/stages/osconfig/configure.ts';
import { buildRootfs } from '../../../image-builder/stages/rootfs/build-rootfs.ts';
import { stageContext } from './stage.ts';

interface Request {
  directory: string;
  build: ResolvedBuild;
  scripts?: ScriptFile[];
}

async function main(): Promise<void> {
  const { directory, build, scripts }: Request = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
  const { distribution, mirror, origins, rootfs } = build;
  const first = await stageContext(directory, 'rootfs');
  await buildRootfs({ distribution, mirror, origins, multistrap: rootfs.multistrap }, first);
  if (scripts === undefined) return;
  const second = await stageContext(directory, 'osconfig');
  const parent = join(first.outputDir, 'rootfs.tar');
  await configureRootfs({ parent, osconfig: rootfs.osconfig, scripts }, second);
  await second.sandbox.run(['rm', '-rf', '--', first.workDir, second.workDir]);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
