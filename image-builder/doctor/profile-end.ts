// Until when somebody fixes what a profile installs, as far as its files are found from a kustomization: the build reads the
// same ones, and tells what is wrong with them.
import { readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isRecord } from '../base/record.ts';
import { readDocuments } from '../base/yaml/read-documents.ts';
import { endOfLifeOf, parseVersion } from '../spec/variables/kubernetes/minors.ts';

/**
 * @param build `spec.build` as it stands in the file
 * @param directories where paths of the object may begin
 * @returns the day (YYYY-MM-DD); undefined where no profile is named, it is not found, or it does not tell
 */
export function profileEndOfLife(
  { profile, manifests }: Record<string, unknown>,
  directories: readonly string[],
): string | undefined {
  if (typeof profile !== 'string' || !/^[\w.-]+$/.test(profile)) return undefined;
  const places = directories.flatMap((directory) => {
    if (typeof manifests !== 'string') return [directory];
    const beside = dirname(resolve(directory, manifests));
    return [directory, beside, dirname(beside)];
  });
  const found = places
    .map((place) => join(place, 'profiles', profile))
    .find((candidate) => statSync(join(candidate, 'manifests'), { throwIfNoEntry: false })?.isDirectory());
  if (found === undefined) return undefined;
  const { endOfLife } = fieldsIn(join(found, 'profile.yaml'));
  if (typeof endOfLife === 'string') return endOfLife;
  const version = parseVersion(
    String(fieldsIn(join(found, 'manifests/rootfs/kubernetes-vars.yaml')).version ?? ''),
  );
  return version && endOfLifeOf(version);
}

/** Of a small file in YAML; none of one that is not there or not understood. */
function fieldsIn(file: string): Record<string, unknown> {
  try {
    const { values } = readDocuments(readFileSync(file, 'utf8'));
    return isRecord(values[0]) ? values[0] : {};
  } catch {
    return {};
  }
}
