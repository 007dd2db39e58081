// Reads what apt says when it fails, and finds the field of the spec that the user can change.
import { ToolError } from '../../sandbox/tool-error.ts';
import { type Origins, originOf, originOfPackage } from '../../spec/variables/origins.ts';
import { nameOfRequest, withoutVersion } from '../../spec/variables/package-names.ts';
import type { ResolvedMultistrap, ResolvedRepository } from '../../spec/variables/resolved-multistrap.ts';
import { mentions, mentionsRepository } from './mirrors.ts';
import { RootfsError, type RootfsErrorCode } from './rootfs-error.ts';

const MULTISTRAP = 'spec.build.rootfs.multistrap';

/** What a repository can be guilty of, by what apt says of it; the first that fits. */
const FAULTS: readonly { says: RegExp; code: RootfsErrorCode; what: string; hint: string }[] = [
  {
    says: /enough free space|No space left on device/,
    code: 'DISK_FULL',
    what: 'does not fit on the disk',
    hint: "free space on the store's file system, or name another directory with IMAGE_BUILDER_STORE",
  },
  {
    // Of a repository that it may not read apt says that it is not signed, too.
    says: /\b(401|403) +(Unauthorized|Forbidden)/,
    code: 'REPOSITORY_UNREACHABLE',
    what: 'requires other credentials',
    hint: 'put the user and password into its URL, or name another mirror',
  },
  {
    says: /is expired \(invalid since/,
    code: 'REPOSITORY_OUTDATED',
    what: 'has expired: its Valid-Until has passed',
    hint:
      'for a snapshot, set check_valid_until: false in the repository, or use multistrap.snapshot for all packages; ' +
      "replace a mirror that is no longer updated; or this machine's clock may be wrong",
  },
  {
    says: /is not valid yet \(invalid for/,
    code: 'REPOSITORY_OUTDATED',
    what: 'is from the future',
    hint: "check this machine's clock (date), and the repository's",
  },
  {
    says: /strong enough for security|Weak|weak security|insufficient security/,
    code: 'REPOSITORY_UNTRUSTED',
    what: 'has only hashes or signatures that are too weak (MD5, SHA-1)',
    hint: 'its owner must sign it with SHA-256 or better; packages without a valid signature are never installed',
  },
  {
    says: /is not signed|GPG error|NO_PUBKEY|couldn't be verified|BADSIG|EXPKEYSIG|not available/,
    code: 'REPOSITORY_UNTRUSTED',
    what: 'is not signed by the expected key',
    hint: 'check keyring, keyring_file, keyring_url or keyring_pkg of the repository; packages without a valid signature are never installed',
  },
];
const UNREACHABLE = {
  code: 'REPOSITORY_UNREACHABLE',
  what: 'cannot be fetched',
  hint: "check the address, the suite and the proxy (http_proxy, or apt's own settings)",
} as const;

/** What apt says; nothing when the error is not one of its. */
function linesOf(error: unknown): string[] {
  return error instanceof ToolError && error.code === 'TOOL_FAILED' ? (error.output ?? []) : [];
}

const faultOf = (lines: readonly string[]) =>
  FAULTS.find(({ says }) => lines.some((line) => says.test(line))) ?? UNREACHABLE;

/** Whether trying again cannot help, here or on another mirror. */
export const isDiskFull = (error: unknown): boolean => faultOf(linesOf(error)).code === 'DISK_FULL';

/** Whether the same mirror may do better after a while. */
export const mayHeal = (error: unknown): boolean => faultOf(linesOf(error)) === UNREACHABLE;

/**
 * What a failed `apt-get update` or download means. Errors that are not apt's are returned as they are.
 * @param repositories with the mirrors in use
 * @param mirror that of the distribution, for what apt says of no repository
 */
export function explainFetchError(
  error: unknown,
  repositories: readonly ResolvedRepository[],
  mirror: string,
  origins: Origins,
): unknown {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return error;
  const lines = linesOf(error);
  const complaints = lines.filter((line) => /^(E:|W:|Err:|\s)/.test(line));
  const { code, what, hint } = faultOf(lines);
  const guilty = guiltyOf(repositories, complaints);
  const place = guilty ? `${guilty.source} ${guilty.suite}` : mirror;
  const field = code === 'DISK_FULL' ? undefined : guiltyField(guilty, code, origins);
  return new RootfsError(code, `the repository ${place} ${what}`, {
    cause: error,
    ...(field !== undefined && { field }),
    output: complaints.length > 0 ? complaints : lines,
    hint,
  });
}

/** The one that apt complains of: by its suite as well, since several may lie on one mirror. */
const guiltyOf = (repositories: readonly ResolvedRepository[], complaints: readonly string[]) =>
  repositories.find((repository) => complaints.some((line) => mentionsRepository(line, repository))) ??
  repositories.find(({ source }) => complaints.some((line) => mentions(line, source)));

function guiltyField(
  guilty: ResolvedRepository | undefined,
  code: RootfsErrorCode,
  origins: Origins,
): string {
  const fields = code === 'REPOSITORY_UNTRUSTED' ? origins.keys : origins.repositories;
  return (guilty && originOf(fields, guilty.name)) ?? 'spec.build.mirror';
}

/** The field of a repository that is not the distribution's own. */
const repositoryField = ({ name }: ResolvedRepository, origins: Origins): string =>
  originOf(origins.repositories, name) ?? `${MULTISTRAP}.repos[name=${name}]`;

/** The field of its key. */
export const keyField = (repository: ResolvedRepository, origins: Origins): string =>
  originOf(origins.keys, repository.name) ?? repositoryField(repository, origins);

/** What a failed choice of packages means: that some are missing, for {@link packagesUnavailable}, or something else. */
export function explainPlanError(
  error: unknown,
): { error: unknown } | { missing: string[]; cause: ToolError } {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return { error };
  const lines = linesOf(error);
  const missing = [...lines.join('\n').matchAll(MISSING_PACKAGE)].flatMap(
    (match) => match.slice(1).find(Boolean) ?? [],
  );
  if (missing.length > 0) return { missing: [...new Set(missing.map(withoutVersion))], cause: error };
  return {
    error: new RootfsError('PACKAGE_UNAVAILABLE', 'the packages cannot be installed together', {
      cause: error,
      output: meaningfulOf(error),
      field: `${MULTISTRAP}.packages`,
      hint: 'the lines above show the conflicts',
    }),
  };
}

/** What the repositories have, as far as an error tells it. */
export interface KnownPackages {
  /** Name of a package that there is, for one that there is not. */
  similar(name: string): string | undefined;
  /** Of a package, newest first. */
  versions(name: string): readonly string[];
}

/**
 * Packages that no repository has, not in that version, or that a pin forbids; a finding for each.
 * @param names at least one, with the architecture where one was asked for
 * @param archive what the repositories have
 */
export function packagesUnavailable(
  names: readonly string[],
  multistrap: ResolvedMultistrap,
  origins: Origins,
  archive: KnownPackages,
  cause?: ToolError,
): RootfsError {
  const said = cause && meaningfulOf(cause);
  const about = (name: string) => (names.length === 1 ? said : said?.filter((line) => line.includes(name)));
  const errorFor = (name: string, others: readonly RootfsError[] = []) => {
    const output = about(name);
    return new RootfsError('PACKAGE_UNAVAILABLE', `the package ${name} is not available`, {
      ...(cause && { cause }),
      ...(output && { output }),
      // What a distribution needs to boot is in no list of the user's.
      field: originOfPackage(origins, name) ?? 'spec.build.distribution',
      hint: adviceFor(name, multistrap, archive),
      others,
    });
  };
  const [first = '', ...rest] = names;
  return errorFor(
    first,
    rest.map((name) => errorFor(name)),
  );
}

function adviceFor(
  request: string,
  { rootfs_arch, unapproved_packages }: ResolvedMultistrap,
  { similar, versions }: KnownPackages,
): string {
  const name = nameOfRequest(request);
  if (unapproved_packages.includes(name)) return 'it is one of unapproved_packages';
  const [, architecture = rootfs_arch] = request.split(':');
  if (![rootfs_arch, 'all', 'any', 'native'].includes(architecture))
    return `an image has packages of a single architecture, here ${rootfs_arch}`;
  const newest = versions(name).slice(0, 3);
  if (newest.length > 0) return `the repositories have ${newest.join(', ')}`;
  const existing = similar(name);
  const isOther = existing !== undefined && existing !== name;
  return `${isOther ? `did you mean ${existing}? ` : ''}check its name and version, and whether a repository has it for this distribution and architecture`;
}

function meaningfulOf({ output = [] }: ToolError): string[] {
  const meaningful = output.filter((line) =>
    /^(E:|\s|The following packages have unmet|Package )/.test(line),
  );
  return meaningful.length > 0 ? meaningful : output;
}

/** What apt says of a package that it does not know, not in that version, or that a pin forbids. */
const MISSING_PACKAGE =
  /Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate|Version '[^']*' for '([^']+)' was not found|Couldn't find any package by (?:glob|regex) '([^']+)'/g;
