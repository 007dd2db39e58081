// Entry point of the native executable. It is both programs: the KRM function where it is called image-builder-fn, since
// kustomize gives an executable no arguments, else the command line.
import { basename } from 'node:path';

void (basename(process.argv0) === 'image-builder-fn'
  ? import('../../functions/image-builder/main.ts')
  : import('./main.ts'));
