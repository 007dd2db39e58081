// The engine as the function uses it; each part is loaded when it is called.
import type { Engine } from './handlers/image-builder.ts';

/** Reads bundles and builds on this machine. */
export const localEngine: Engine = {
  async readBundle(reference, options) {
    const { readBundle } = await import('../../image-builder/bundle/read.ts');
    return readBundle(reference, options);
  },
  async build(name, spec, options) {
    const { cwd, signal } = options;
    const { resolveBuild } = await import('../../image-builder/variables/resolve.ts');
    const { build } = await import('../../image-builder/build/build.ts');
    const program = [process.execPath, process.argv[1] ?? ''];
    return build(await resolveBuild(name, spec, { cwd, signal }), { ...options, program });
  },
};
