// Which key each repository is trusted by.
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import type { Origins } from '../../spec/variables/origins.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { ResolvedMultistrap, ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import type { Apt } from './apt.ts';
import { keyField } from './apt-errors.ts';
import { distributionKey, type Key, repositoryKey } from './keyrings.ts';

/** What decides who is trusted. */
interface RepositorySettings {
  distribution: ResolvedBuild['distribution'];
  multistrap: ResolvedMultistrap;
  origins: Origins;
}

/**
 * The key of each repository, in their order.
 * @param vouch opens the repositories whose keys are known: a keyring package is only trusted when a key that is trusted
 *   without it vouches for it
 * @throws RootfsError, which names the field of the spec
 */
export async function repositoryKeys(
  { distribution, multistrap, origins }: RepositorySettings,
  vouch: (known: ReadonlyMap<ResolvedRepository, Key>) => Promise<Apt>,
  context: StageContext,
): Promise<Key[]> {
  const directory = join(context.workDir, 'keys');
  const own = await distributionKey(distribution, directory, context);
  const isOwn = ({ keyring_pkg }: ResolvedRepository) => keyring_pkg === distribution.keyring.package;
  const keys = new Map<ResolvedRepository, Key>();
  let vouching: Promise<Apt> | undefined;
  const fetchKeyring = async (name: string) => {
    vouching ??= vouch(keys);
    return (await vouching).downloadPackage(name, join(directory, name));
  };
  // In the order of the spec, but keys that come in packages last.
  const fromPackage = (repository: ResolvedRepository) =>
    repository.keyring_pkg !== undefined && !isOwn(repository);
  const [direct, packaged] = [
    multistrap.repos.filter((one) => !fromPackage(one)),
    multistrap.repos.filter(fromPackage),
  ];
  const keyOf = (repository: ResolvedRepository) =>
    repositoryKey(repository, keyField(repository, origins), directory, fetchKeyring, context);
  for (const repository of direct) keys.set(repository, isOwn(repository) ? own : await keyOf(repository));
  const later: [ResolvedRepository, Key][] = [];
  for (const repository of packaged) later.push([repository, await keyOf(repository)]);
  const all = new Map([...keys, ...later]);
  return multistrap.repos.map((repository) => all.get(repository) ?? own);
}
