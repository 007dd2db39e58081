// Versions of everything that a plan's stages name among their tools.
import type { ToolVersions } from '../pipeline/plan.ts';
import { installedVersions } from '../pipeline/tool-versions.ts';
import { FUNCTION_BASE, functionBaseDigest } from './bundle/function-base.ts';

/**
 * Versions of those tools that are there: of Debian packages, and the digest of the base that this program carries.
 * @param architecture that of the images
 */
export async function toolVersions(tools: ReadonlySet<string>, architecture: string): Promise<ToolVersions> {
  const installed = await installedVersions(tools);
  const digest = tools.has(FUNCTION_BASE) ? await functionBaseDigest(architecture) : undefined;
  return digest === undefined ? installed : { ...installed, [FUNCTION_BASE]: digest };
}
