// Reads what apt says when it fails, and finds the field of the spec that the user can change.
import { ToolError } from '../executors/tool-error.ts';
import { nameOfRequest } from '../variables/package-names.ts';
import type { ResolvedMultistrap, ResolvedRepository } from '../variables/types.ts';
import { RootfsError } from './error.ts';

const MULTISTRAP = 'spec.build.rootfs.multistrap';

/** What a failed `apt-get update` or download means. Errors that are not apt's are returned as they are. */
export function explainFetchError(
  error: unknown,
  repositories: readonly ResolvedRepository[],
  mirror: string,
): unknown {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return error;
  const lines = error.output ?? [];
  const complaints = lines.filter((line) => /^(E:|W:|Err:|\s)/.test(line));
  const guilty = repositories.find(({ source, suite }) =>
    complaints.some((line) => line.includes(source) && line.includes(suite.replace(/\/$/, ''))),
  );
  const untrusted = lines.some((line) =>
    /is not signed|GPG error|NO_PUBKEY|couldn't be verified|BADSIG|EXPKEYSIG|not available/.test(line),
  );
  const field =
    guilty === undefined || guilty.source === mirror ? 'spec.build.mirror' : repositoryField(guilty);
  const place = guilty ? `${guilty.source} ${guilty.suite}` : mirror;
  const options = { cause: error, field, output: complaints.length > 0 ? complaints : lines };
  return untrusted
    ? new RootfsError(
        'REPOSITORY_UNTRUSTED',
        `the repository ${place} is not signed by the key it should have`,
        {
          ...options,
          hint: 'check keyring, keyring_file, keyring_url or keyring_pkg of the repository; packages without a valid signature are never installed',
        },
      )
    : new RootfsError('REPOSITORY_UNREACHABLE', `the repository ${place} cannot be fetched`, {
        ...options,
        hint: "check the address, the suite and the proxy (http_proxy, or apt's own settings)",
      });
}

const repositoryField = ({ name }: ResolvedRepository) => `${MULTISTRAP}.repos[name=${name}]`;

/** What a failed choice of packages means. */
export function explainPlanError(error: unknown, multistrap: ResolvedMultistrap): unknown {
  if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') return error;
  const lines = error.output ?? [];
  const text = lines.join('\n');
  const names = [...text.matchAll(MISSING_PACKAGE)].map((match) => match.slice(1).find(Boolean) ?? '');
  const [name] = names;
  const meaningful = lines.filter((line) => /^(E:|\s|The following packages have unmet|Package )/.test(line));
  const options = { cause: error, output: meaningful.length > 0 ? meaningful : lines };
  if (name !== undefined) return packageUnavailable(name, multistrap, options);
  return new RootfsError('PACKAGE_UNAVAILABLE', 'the packages cannot be installed together', {
    ...options,
    field: `${MULTISTRAP}.packages`,
    hint: 'the lines above name what contradicts what',
  });
}

/** A package that no repository has, not in that version, or that a pin forbids. */
export function packageUnavailable(
  name: string,
  multistrap: ResolvedMultistrap,
  options: { cause?: unknown; output?: string[] } = {},
): RootfsError {
  return new RootfsError('PACKAGE_UNAVAILABLE', `the package ${name} cannot be had`, {
    ...options,
    field: packageField(name, multistrap),
    hint: multistrap.unapproved_packages.includes(name)
      ? 'it is one of unapproved_packages'
      : 'check its name and version, and that one of the repositories has it for this distribution and architecture',
  });
}

/** What apt says of a package that it does not know, not in that version, or that a pin forbids. */
const MISSING_PACKAGE =
  /Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate|Version '[^']*' for '([^']+)' was not found|Couldn't find any package by (?:glob|regex) '([^']+)'/g;

/** The field that asks for a package. */
function packageField(name: string, multistrap: ResolvedMultistrap): string {
  const asksFor = (entry: string) => nameOfRequest(entry) === name;
  if (multistrap.packages.some(asksFor)) return `${MULTISTRAP}.packages`;
  const repository = multistrap.repos.find(({ packages }) => packages.some(asksFor));
  if (repository !== undefined) return `${repositoryField(repository)}.packages`;
  if (multistrap.kernel_base_pkg === name) return `${MULTISTRAP}.kernel_base_pkg`;
  if (multistrap.kernel_headers_pkg === name) return `${MULTISTRAP}.kernel_headers_pkg`;
  return 'spec.build.distribution';
}
