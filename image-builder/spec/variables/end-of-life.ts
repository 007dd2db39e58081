// The warning about what nobody fixes any more.
import type { ResolvedBuild } from './resolved.ts';

/** The warning of a Kubernetes or a profile whose end of life has passed; undefined for every other build. */
export function endOfLifeWarning(
  { profile, kubernetes }: Pick<ResolvedBuild, 'profile' | 'kubernetes'>,
  now: Date,
): string | undefined {
  const today = now.toISOString().slice(0, 10);
  const hasPassed = (day: string | undefined) => day !== undefined && today > day;
  if (kubernetes && hasPassed(kubernetes.endOfLife)) {
    return `Kubernetes ${kubernetes.version} reached its end of life on ${kubernetes.endOfLife}: it no longer gets fixes`;
  }
  if (!profile || !hasPassed(profile.endOfLife)) return undefined;
  return `the profile ${profile.name} reached its end of life on ${profile.endOfLife}: the software it installs no longer gets fixes`;
}
