// The engine as the function uses it; each part is loaded when it is called.
import { ownCommand } from '#runtime';
import type { ReadBundleOptions } from '../../image-builder/bundle/read/read-options.ts';
import type { CredentialOptions } from '../../image-builder/oci/credentials/credentials.ts';
import type { Policy } from '../../image-builder/policy/policy.ts';
import type { Engine } from './handlers/image-builder.ts';

/** Reads bundles and builds on this machine. */
export const localEngine: Engine = {
  async readBundle(reference, options) {
    const [{ readBundle }, { localPathOf }, policy] = await Promise.all([
      import('../../image-builder/bundle/read/read-bundle.ts'),
      import('../../image-builder/oci/local-path.ts'),
      renderPolicy(process.cwd()),
    ]);
    const credentials = credentialsFor(options.credentials, policy);
    const path = localPathOf(reference, process.env);
    const { trust: wanted, ...others } = options;
    const isDemanded = wanted !== undefined || policy.bundles.length > 0;
    const demands: Pick<ReadBundleOptions, 'trust'> = isDemanded
      ? {
          trust: async (parsed) => {
            const { trustFor } = await import('../../image-builder/bundle/evidence/trust-rules.ts');
            return trustFor(parsed, policy, wanted);
          },
        }
      : {};
    if (path === undefined) return readBundle(reference, { ...others, ...demands, credentials });
    const { SpecFiles } = await import('../../image-builder/policy/spec-files.ts');
    const files = new SpecFiles(process.cwd(), policy.read);
    await files.require(path);
    const mayRead = (file: string) => files.require(file);
    return readBundle(reference, { ...others, ...demands, credentials, mayRead });
  },
  async build(name, spec, options) {
    const { cwd, signal } = options;
    const policy = await renderPolicy(cwd);
    const { resolveBuild } = await import('../../image-builder/spec/variables/resolve.ts');
    const { build } = await import('../../image-builder/build/build.ts');
    const { endOfLifeWarning } = await import('../../image-builder/spec/variables/end-of-life.ts');
    const resolved = await resolveBuild(name, spec, { cwd, read: policy.read, signal });
    const contents = await build(resolved, {
      ...options,
      policy,
      credentials: credentialsFor(options.credentials, policy),
      program: ownCommand(),
    });
    const warning = endOfLifeWarning(resolved, new Date());
    return { ...contents, warnings: warning === undefined ? [] : [warning] };
  },
};

async function renderPolicy(cwd: string): Promise<Policy> {
  const { loadPolicy } = await import('../../image-builder/policy/load.ts');
  return await loadPolicy({ caller: 'render', env: process.env, cwd });
}

/** The credentials of the items, and whether the machine's helpers are asked for others. */
function credentialsFor(given: CredentialOptions = {}, { credentialHelpers }: Policy): CredentialOptions {
  return { ...given, helpers: credentialHelpers };
}
