// Versions of everything that a plan's stages name among their tools.
import type { ToolVersions } from '../pipeline/plan.ts';
import { installedVersions } from '../pipeline/tool-versions.ts';
import { FUNCTION_BASE, functionBaseDigest } from './bundle/function-base.ts';
import { PROC_OF_SCRIPTS } from './osconfig/proc-of-scripts.ts';

/**
 * Versions of those tools that are there: of Debian packages, the digest of the base that this program carries, and whether
 * scripts see a /proc.
 * @param architecture that of the images
 * @param mounts whether stages can mount; default: found out by trial, where that is asked for
 */
export async function toolVersions(
  tools: ReadonlySet<string>,
  architecture: string,
  mounts?: boolean,
): Promise<ToolVersions> {
  const installed = await installedVersions(tools);
  const digest = tools.has(FUNCTION_BASE) ? await functionBaseDigest(architecture) : undefined;
  const hasProc = tools.has(PROC_OF_SCRIPTS) && (mounts ?? (await canMountHere()));
  return {
    ...installed,
    ...(digest !== undefined && { [FUNCTION_BASE]: digest }),
    ...(hasProc && { [PROC_OF_SCRIPTS]: 'mounted' }),
  };
}

async function canMountHere(): Promise<boolean> {
  const { canMount } = await import('../sandbox/local-sandbox.ts');
  return await canMount(process.env);
}
