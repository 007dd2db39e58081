// The repositories of a build: their keys, their package lists, and the files of the packages that are chosen.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { similarName } from '../../spec/api/similar.ts';
import type { Origins } from '../../spec/variables/origins.ts';
import { nameOfRequest } from '../../spec/variables/package-names.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { ResolvedMultistrap, ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { digestFile } from '../../store/entry-files.ts';
import { Apt, type PackageFile } from './apt.ts';
import { renderAuth } from './apt-credentials.ts';
import {
  explainFetchError,
  explainPlanError,
  isDiskFull,
  mayHeal,
  packagesUnavailable,
} from './apt-errors.ts';
import { renderPins, renderSource } from './apt-sources.ts';
import type { ChosenPackage } from './chosen-repository.ts';
import { KeptLists } from './kept-lists.ts';
import type { Key } from './keyrings.ts';
import { Mirrors } from './mirrors.ts';
import { checkNodePackages } from './node-packages.ts';
import { putIntoCache, takeFromCache } from './package-cache.ts';
import { repositoryKeys } from './repository-keys.ts';
import type { RootfsError } from './rootfs-error.ts';

/** What decides which packages there are. */
export interface ArchiveInputs {
  distribution: ResolvedBuild['distribution'];
  /** Base URI of the distribution's mirror. */
  mirror: string;
  /** Where each repository is fetched from; default: its own source. */
  sources?: ResolvedBuild['sources'];
  multistrap: ResolvedMultistrap;
  /** Where the user has written them. */
  origins: Origins;
}

/** Opened repositories. */
export class ArchiveAccess {
  readonly apt: Apt;
  /** In the order of the repositories. */
  readonly keys: readonly Key[];
  readonly #inputs: ArchiveInputs;
  readonly #context: StageContext;
  readonly #mirrors: Mirrors;
  readonly #kept: KeptLists | undefined;

  private constructor(
    inputs: ArchiveInputs,
    context: StageContext,
    mirrors: Mirrors,
    apt: Apt,
    keys: readonly Key[],
    kept?: KeptLists,
  ) {
    this.#inputs = inputs;
    this.#context = context;
    this.#mirrors = mirrors;
    this.apt = apt;
    this.keys = keys;
    this.#kept = kept;
  }

  /**
   * Gets the keys and the package lists of all repositories.
   * @param cacheDir directory that outlives the build, for the lists; absent: they are not kept. Then {@link close} it.
   * @throws RootfsError, which names the field of the spec
   */
  static async open(inputs: ArchiveInputs, context: StageContext, cacheDir?: string): Promise<ArchiveAccess> {
    const { multistrap } = inputs;
    const keys = await repositoryKeys(
      inputs,
      async (known) => {
        const repos = multistrap.repos.filter((one) => known.has(one));
        const vouching = { ...inputs, multistrap: { ...multistrap, repos } };
        return (await ArchiveAccess.#openWith(vouching, 'apt-keyrings', [...known.values()], context)).apt;
      },
      context,
    );
    const kept = cacheDir === undefined ? undefined : await keptLists(cacheDir, inputs, keys, context);
    try {
      return await ArchiveAccess.#openWith(inputs, 'apt', keys, context, kept);
    } catch (error) {
      await kept?.release();
      throw error;
    }
  }

  /** Lets others have the lists; apt is not used any more. */
  async close(): Promise<void> {
    await this.#kept?.release();
  }

  static async #openWith(
    inputs: ArchiveInputs,
    name: string,
    keys: readonly Key[],
    context: StageContext,
    kept?: KeptLists,
  ): Promise<ArchiveAccess> {
    const { multistrap, sources } = inputs;
    const apt = await Apt.create(
      {
        directory: join(context.workDir, name),
        architecture: multistrap.rootfs_arch,
        preferences: renderPins(multistrap.unapproved_packages),
        credentials: renderAuth(Object.values(sources ?? {}).flat()),
        ...(kept && { kept }),
      },
      context,
    );
    const mirrors = new Mirrors(multistrap.repos, sources);
    const access = new ArchiveAccess(inputs, context, mirrors, apt, keys, kept);
    await access.#persist(() => access.#update());
    return access;
  }

  /** The repositories with the mirrors in use. */
  get repositories(): ResolvedRepository[] {
    return this.#mirrors.repositories;
  }

  /** The same as deb822 text. */
  get sourceText(): string {
    return this.repositories
      .map((repository, index) =>
        renderSource(repository, this.#inputs.multistrap.rootfs_arch, this.keys[index]?.path ?? ''),
      )
      .join('\n');
  }

  /** The repository that a file of a plan comes from, and the path below its base URI. */
  locate({ url }: PackageFile): { repository: ResolvedRepository; path: string } | undefined {
    const repository = this.#mirrors.repositories.find(({ source }) => url.startsWith(`${source}/`));
    return repository && { repository, path: url.slice(repository.source.length + 1).replace(/^\.\//, '') };
  }

  /** The files that have to be installed for `packages`. @throws RootfsError PACKAGE_UNAVAILABLE, PACKAGES_INCOMPATIBLE */
  async plan(packages: readonly string[]): Promise<PackageFile[]> {
    const files = await this.apt.plan(packages).catch(async (error: unknown) => {
      const explained = explainPlanError(error);
      throw 'error' in explained
        ? explained.error
        : await this.#unavailable(explained.missing, explained.cause);
    });
    // apt takes a plus that belongs to no name for the command to install the rest.
    const names = new Set(files.map(({ name }) => name));
    const missing = packages.map(nameOfRequest).filter((name) => name.endsWith('+') && !names.has(name));
    if (missing.length > 0) throw await this.#unavailable(missing);
    checkNodePackages(files, this.#inputs.origins);
    return files;
  }

  async #unavailable(missing: readonly string[], cause?: ToolError): Promise<RootfsError> {
    const { multistrap, origins } = this.#inputs;
    const existing = await this.apt.names().catch(() => []);
    const names = missing.map(nameOfRequest);
    const versions = new Map(
      await Promise.all(names.map(async (name) => [name, await this.apt.versions(name)] as const)),
    );
    const archive = {
      similar: (name: string) => similarName(name, existing),
      versions: (name: string) => versions.get(name) ?? [],
    };
    return packagesUnavailable(missing, multistrap, origins, archive, cause);
  }

  /**
   * Fetches the files for `packages`; afterwards they are where apt looks for them.
   * @param cacheDir directory that outlives the build; none: everything is fetched.
   */
  async fetch(packages: readonly string[], cacheDir: string | undefined): Promise<PackageFile[]> {
    const cache = cacheDir === undefined ? undefined : join(cacheDir, 'packages');
    let files: PackageFile[] = [];
    let isFirst = true;
    await this.#persist(async () => {
      // Another mirror may be older or newer than the one whose lists are here.
      if (!isFirst) await this.#update();
      isFirst = false;
      files = await this.plan(packages);
      if (cache !== undefined) await takeFromCache(cache, files, this.apt.archives, this.#context.signal);
      await this.apt.download(packages, files);
      await this.#copyLocal(files);
    });
    if (cache !== undefined) await putIntoCache(cache, files, this.apt.archives);
    return files;
  }

  /** What the package lists say of files that were fetched. */
  async describe(files: readonly PackageFile[]): Promise<ChosenPackage[]> {
    const { sandbox, signal } = this.#context;
    const controls = await this.apt.describe(files);
    return await Promise.all(
      files.map(async (file, index) => ({
        ...file,
        control: controls[index] ?? '',
        // A list without a SHA-256 has another hash that apt holds for strong enough, and has checked.
        sha256:
          file.sha256 ??
          (await sandbox.run(['sha256sum', join(this.apt.archives, file.file)], { signal })).slice(0, 64),
      })),
    );
  }

  /** apt leaves the package files of a directory where they are; here they are changed by nobody while they are installed. */
  async #copyLocal(files: readonly PackageFile[]): Promise<void> {
    const { sandbox, signal } = this.#context;
    for (const { url, file } of files.filter((one) => one.url.startsWith('file:'))) {
      const path = fileURLToPath(url.replace(/^file:\/*/, 'file:///'));
      await sandbox.run(['cp', '--', path, join(this.apt.archives, file)], { signal });
    }
  }

  #update(): Promise<void> {
    return this.apt.update(this.sourceText);
  }

  /** Does it with the other mirrors when one fails, and when all have failed again after a while. */
  async #persist(action: () => Promise<unknown>): Promise<void> {
    const { multistrap_retries: retries, multistrap_retries_delay: seconds } = this.#inputs.multistrap;
    const { signal, step } = this.#context;
    for (let attempt = 1; ; ) {
      try {
        await action();
        return;
      } catch (error) {
        if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED' || signal.aborted) throw error;
        if (isDiskFull(error)) throw this.#explain(error);
        const others = this.#mirrors.giveUp(error);
        if (others.length > 0) {
          step(`a mirror failed; trying ${others.join(', ')}`);
          continue;
        }
        if (attempt > retries || !mayHeal(error)) throw this.#explain(error);
        attempt++;
        this.#mirrors.reset();
        step(`failed; attempt ${attempt} in ${seconds} s`);
        await delay(seconds * 1000, undefined, { signal }).catch(() => throwIfCancelled(signal));
      }
    }
  }

  #explain(error: ToolError): unknown {
    const { mirror, multistrap, origins } = this.#inputs;
    const repositories = this.#mirrors.repositories;
    const index = multistrap.repos.findIndex(({ source }) => source === mirror);
    return explainFetchError(error, repositories, repositories[index]?.source ?? mirror, origins);
  }
}

/** Not of repositories on this machine, whose lists apt only links to. */
async function keptLists(
  cacheDir: string,
  { multistrap, sources }: ArchiveInputs,
  keys: readonly Key[],
  { signal }: StageContext,
): Promise<KeptLists | undefined> {
  const mirrors = new Mirrors(multistrap.repos, sources);
  const places = multistrap.repos.map((repository) => mirrors.candidates(repository));
  if (!places.flat().every((place) => /^https?:/.test(place))) return undefined;
  const repositories = {
    architecture: multistrap.rootfs_arch,
    places,
    suites: multistrap.repos.map(({ suite, components }) => [suite, components]),
    // Who is trusted no longer has said nothing.
    keys: await Promise.all(keys.map(({ path }) => digestFile(path))),
  };
  return await KeptLists.open(cacheDir, repositories, signal);
}
