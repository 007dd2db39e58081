// Puts the modules that are written for Bun in the place of the others: for what the native executable is made of.

/** The module in the source tree; the other one has `.bun` before its ending. */
const WRITTEN_FOR_BUN = /^\.\/hash\.ts$/;

/** A plugin for esbuild. */
export const bunModules = {
  name: 'bun-modules',
  setup(build) {
    build.onResolve({ filter: WRITTEN_FOR_BUN }, ({ path, resolveDir, kind }) =>
      kind === 'entry-point'
        ? undefined
        : build.resolve(path.replace(/\.ts$/, '.bun.ts'), { resolveDir, kind }),
    );
  },
};
