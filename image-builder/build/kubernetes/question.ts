// What a build in a cluster wants to know of its builder image.
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import { stagesOf } from '../../stages/index.ts';
import type { BuilderQuestion } from './protocol.ts';

/** The tools that the stages of the build name. */
export function questionOf(resolved: ResolvedBuild): BuilderQuestion {
  const tools = new Set(stagesOf(resolved).flatMap(({ definition }) => definition.tools));
  return { architecture: resolved.rootfs.multistrap.rootfs_arch, tools: [...tools].sort() };
}
