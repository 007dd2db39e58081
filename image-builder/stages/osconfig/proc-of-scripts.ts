// Whether scripts of the spec see a /proc. Packages leave the same tree without one; what a spec's own script does then, nobody
// knows. So it stands in the keys of the stages that run such scripts, among the tools. Pure.
import type { ResolvedScript, RunContext, ScriptFile } from '../../spec/variables/resolved-osconfig.ts';

/** Stands among the tools of a stage for the /proc in its tree: `mounted` or absent. */
export const PROC_OF_SCRIPTS = '/proc of scripts';

/**
 * The tools that scripts have beside those of the tree.
 * @param more scripts that run in this context whatever they say
 */
export function toolsOfScripts(
  context: RunContext,
  scripts: readonly ScriptFile[],
  userScripts: readonly ResolvedScript[],
  more: readonly ResolvedScript[] = [],
): string[] {
  const runs =
    scripts.length + more.length > 0 || userScripts.some((one) => one.run_contexts.includes(context));
  return runs ? [PROC_OF_SCRIPTS] : [];
}
