// A private apt: its own sources, keys, pins and state in a directory of the build, nothing of this machine's apt but
// its proxies. Here packages are chosen and fetched, so that what installs them needs no network.
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { ToolError } from '../../sandbox/tool-error.ts';
import { type AptOptions, readProxies, renderSettings } from './apt-settings.ts';
import type { KeptLists } from './kept-lists.ts';

/** A package file that is to be installed. */
export interface PackageFile {
  name: string;
  version: string;
  architecture: string;
  url: string;
  /** Name in apt's cache: `vim_2%3a9.1.1230-2_amd64.deb`. */
  file: string;
  /** Bytes. */
  size: number;
  /** Hex; absent for repositories that only have weaker hashes. */
  sha256?: string;
}

/** An apt with configuration and keys of its own, in a private directory. */
export class Apt {
  readonly directory: string;
  readonly #kept: KeptLists | undefined;
  readonly #context: StageContext;

  private constructor({ directory, kept }: AptOptions, context: StageContext) {
    this.directory = directory;
    this.#kept = kept;
    this.#context = context;
  }

  /** Where the package lists are. */
  get lists(): string {
    return this.#kept?.lists ?? join(this.directory, 'state/lists');
  }

  /** Where the package files are. */
  get archives(): string {
    return join(this.directory, 'cache/archives');
  }

  static async create(options: AptOptions, context: StageContext): Promise<Apt> {
    const { directory, preferences, credentials } = options;
    for (const name of [
      'etc/sources.list.d',
      'etc/preferences.d',
      'etc/apt.conf.d',
      'state/lists/partial',
      'cache/archives/partial',
      `cache/${NO_ARCHIVES}/partial`,
      'log',
    ]) {
      await mkdir(join(directory, name), { recursive: true });
    }
    await writeFile(join(directory, 'etc/preferences.d/image-builder'), preferences);
    await writeFile(join(directory, 'etc/auth.conf'), credentials, { mode: 0o600 });
    await writeFile(join(directory, 'status'), '');
    const settings = renderSettings(options);
    await writeFile(join(directory, 'apt.conf'), settings + (await readProxies(context)));
    return new Apt(options, context);
  }

  /**
   * Fetches the package lists of these repositories; one that cannot be fetched or verified is an error.
   * @param sources deb822 text
   */
  async update(sources: string): Promise<void> {
    const { sandbox, signal, output } = this.#context;
    await writeFile(join(this.directory, 'etc/sources.list.d/image-builder.sources'), sources);
    const update = ['update', '--option', 'APT::Update::Error-Mode=any'];
    if (!this.#kept) {
      await this.run(update);
      return;
    }
    // It would parse the lists again in any case, before their times are what they were.
    await this.run([...update, '--option', 'pkgCacheFile::Generate=false']);
    await this.#kept.settle();
    await sandbox.run(['apt-cache', 'gencaches'], { env: this.#environment, onLine: output, signal });
  }

  /**
   * The files that have to be installed on an empty system for `packages`, and what every system has.
   * Sorted by name.
   */
  async plan(packages: readonly string[]): Promise<PackageFile[]> {
    // Without this apt prints the MD5 sum where there is one.
    const hash = ['--option', 'Acquire::ForceHash=SHA256'];
    // apt does not print what it has fetched already.
    const all = ['--option', `Dir::Cache::Archives=${NO_ARCHIVES}`];
    const output = await this.run(['install', '--print-uris', ...hash, ...all, ...wanted(packages)]);
    return parseUris(output).sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  /** Where one version of a package is; undefined when no repository has it. */
  async find(name: string, version: string): Promise<PackageFile | undefined> {
    const hash = ['--option', 'Acquire::ForceHash=SHA256'];
    try {
      return parseUris(await this.run(['download', '--print-uris', ...hash, '--', `${name}=${version}`]))[0];
    } catch (error) {
      if (error instanceof ToolError && error.code === 'TOOL_FAILED') return undefined;
      throw error;
    }
  }

  /**
   * What the package lists say of these files: a paragraph (deb822(5)) for each, in their order. The lists of the
   * repositories need not agree on one version; that of the first counts, as when apt chooses.
   */
  async describe(
    files: readonly Pick<PackageFile, 'name' | 'version' | 'architecture'>[],
  ): Promise<string[]> {
    const { sandbox, signal } = this.#context;
    const names = files.map(({ name, version }) => `${name}=${version}`);
    const output = await sandbox.run(['apt-cache', 'show', '--', ...names], {
      env: this.#environment,
      signal,
    });
    const paragraphs = new Map<string, string>();
    for (const paragraph of output.split(/\n\n+/).filter((text) => text.trim() !== '')) {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(paragraph)?.[1];
      const identity = `${field('Package')}=${field('Version')}`;
      if (!paragraphs.has(identity)) paragraphs.set(identity, paragraph);
    }
    return names.map((name) => paragraphs.get(name) ?? '');
  }

  /** The versions that the repositories have, newest first. */
  async versions(name: string): Promise<string[]> {
    const { sandbox, signal } = this.#context;
    const output = await sandbox
      .run(['apt-cache', 'madison', '--', name], { env: this.#environment, signal })
      .catch((error: unknown) => {
        if (error instanceof ToolError && error.code === 'TOOL_FAILED') return '';
        throw error;
      });
    const versions = output.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []);
    return [...new Set(versions)];
  }

  /**
   * Fetches files as they are, without a look at their content; those that cannot be had are left out.
   * @param files URL and absolute path of each
   */
  async fetch(files: readonly { url: string; path: string }[], attempts: number): Promise<void> {
    if (files.length === 0) return;
    const { sandbox, signal, output } = this.#context;
    const options = ['--option', `Acquire::Retries=${attempts - 1}`];
    const argv = [
      APT_HELPER,
      ...options,
      'download-file',
      '--',
      ...files.flatMap(({ url, path }) => [url, path, '']),
    ];
    await sandbox
      .run(argv, {
        env: this.#environment,
        onLine: output,
        signal,
      })
      .catch((error: unknown) => {
        if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') throw error;
      });
  }

  /** Names of all packages that the repositories have. */
  async names(): Promise<string[]> {
    const { sandbox, signal } = this.#context;
    const output = await sandbox.run(['apt-cache', 'pkgnames'], { env: this.#environment, signal });
    return output.split('\n').filter(Boolean);
  }

  /**
   * Fetches those files of a plan that are not in {@link archives} yet; apt checks each against the signed package list.
   * @param packages what the plan was made for
   */
  async download(packages: readonly string[], files: readonly PackageFile[]): Promise<void> {
    const present = new Set(await readdir(this.archives));
    const missing = files.filter(({ file }) => !present.has(file));
    const isPlain = ({ url, sha256 }: PackageFile) => sha256 !== undefined && !url.startsWith('file:');
    // The plan has the hashes out of the lists: nothing has to be chosen from all packages once more.
    if (missing.every(isPlain)) await this.#downloadPlanned(missing);
    else await this.run(['install', '--download-only', ...wanted(packages)]);
  }

  async #downloadPlanned(files: readonly PackageFile[]): Promise<void> {
    if (files.length === 0) return;
    const { sandbox, signal, output } = this.#context;
    const partial = ({ file }: PackageFile) => join(this.archives, 'partial', file);
    const wishes = files.flatMap((file) => [file.url, partial(file), `SHA256:${file.sha256}`]);
    await sandbox.run([APT_HELPER, 'download-file', '--', ...wishes], {
      env: this.#environment,
      onLine: output,
      signal,
    });
    for (const file of files) await rename(partial(file), join(this.archives, file.file));
  }

  /** Fetches one package into `directory`. */
  async downloadPackage(name: string, directory: string): Promise<string> {
    await this.run(['download', '--', name], directory);
    const file = (await readdir(directory)).find((entry) => entry.endsWith('.deb'));
    return join(directory, file ?? '');
  }

  get #environment() {
    return { APT_CONFIG: join(this.directory, 'apt.conf') };
  }

  run(args: readonly string[], cwd = this.directory): Promise<string> {
    const { sandbox, signal, output } = this.#context;
    return sandbox.run(['apt-get', '--quiet', '--yes', ...args], {
      cwd,
      env: this.#environment,
      onLine: output,
      signal,
    });
  }
}

/** A directory of package files that stays empty. */
const NO_ARCHIVES = 'none';

/** apt's own program for single files: it is there wherever apt is, and honours proxies and certificate settings. */
const APT_HELPER = '/usr/lib/apt/apt-helper';

/** What `--print-uris` prints. The file name carries name, version and architecture, with `%3a` for a colon. */
function parseUris(output: string): PackageFile[] {
  return [...output.matchAll(/^'([^']+)' (\S+) (\d+) ?(\S*)$/gm)].map(
    ([, url = '', file = '', size, hash = '']) => {
      const [name = '', version = '', architecture = ''] = decodeURIComponent(file)
        .replace(/\.deb$/, '')
        .split('_');
      const sha256 = /^SHA256:(.*)$/.exec(hash)?.[1];
      return { name, version, architecture, url, file, size: Number(size), ...(sha256 && { sha256 }) };
    },
  );
}

/** The essential and required packages are what mmdebstrap's variant `minbase` installs. */
const wanted = (packages: readonly string[]) => [
  '--',
  '?essential',
  '?priority(required)',
  ...packages,
  'apt',
];
