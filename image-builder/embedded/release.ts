// What this release of Image Builder is: its version, and a hash of everything that decides what a build makes.
//
// From the source tree both are computed when this module is imported; in the bundled executables scripts/build.mjs
// has replaced the module by its value.
import { createHash } from 'node:crypto';
import { readSource, readTree } from './read-tree.ts';

/** Below image-builder/: the code and the data that a stage's output depends on, apart from the stage's inputs. */
const PIPELINE_DIRECTORIES = [
  ...['ansible', 'boot', 'build', 'bundle', 'disk', 'executors', 'osconfig', 'rootfs'],
];

/** Version of the package: `0.1.0`. */
export const version: string = JSON.parse(readSource('../package.json')).version;

/**
 * Hex SHA-256 of the pipeline's code. Part of every stage key: an image that an older pipeline made must not be taken
 * for one that this pipeline would make.
 */
export const pipelineHash: string = hashFiles(PIPELINE_DIRECTORIES.flatMap(readTree));

function hashFiles(files: { path: string; content: string; mode: number }[]): string {
  const hash = createHash('sha256');
  for (const { path, content, mode } of files) {
    hash.update(`${path}\0${mode}\0${Buffer.byteLength(content)}\0`).update(content);
  }
  return hash.digest('hex');
}
