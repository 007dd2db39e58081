// The engine as the function uses it; each part is loaded when it is called.
import { ownCommand } from '../../image-builder/embedded/own-command.ts';
import type { Engine } from './handlers/image-builder.ts';

/** Reads bundles and builds on this machine. */
export const localEngine: Engine = {
  async readBundle(reference, options) {
    const { readBundle } = await import('../../image-builder/bundle/read.ts');
    return readBundle(reference, options);
  },
  async build(name, spec, options) {
    const { cwd, signal } = options;
    const { loadPolicy } = await import('../../image-builder/policy/load.ts');
    const policy = await loadPolicy({ caller: 'render', env: process.env, cwd });
    const { resolveBuild } = await import('../../image-builder/variables/resolve.ts');
    const { build } = await import('../../image-builder/build/build.ts');
    const { endOfLifeWarning } = await import('../../image-builder/variables/profile-facts.ts');
    const resolved = await resolveBuild(name, spec, { cwd, read: policy.read, signal });
    const contents = await build(resolved, { ...options, policy, program: ownCommand() });
    const warning = endOfLifeWarning(resolved, new Date());
    return { ...contents, warnings: warning === undefined ? [] : [warning] };
  },
};
