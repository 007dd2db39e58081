// Whether configuring a tree needs a network. Pure.
import type { ResolvedOsconfig, RunContext, ScriptFile } from '../../spec/variables/resolved-osconfig.ts';

/** Downloads do, and scripts may. */
export function fetchesIn(
  context: RunContext,
  { osconfig, scripts }: { osconfig: ResolvedOsconfig; scripts: readonly ScriptFile[] },
): boolean {
  const items = [...osconfig.fetch_from_url, ...osconfig.user_scripts];
  return scripts.length > 0 || items.some((item) => item.run_contexts.includes(context));
}
