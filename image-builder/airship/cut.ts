// Cuts one image from the prepared root file system, as a request of the predecessor's users says.
import { InvalidInputError } from '../base/diagnostics/error.ts';
import type { Reporter } from '../base/diagnostics/progress.ts';
import type { BuildSpec } from '../spec/api/types.ts';
import { parseImageBuilder } from '../spec/api/validate.ts';
import { type CutResult, writeOutputs } from './outputs.ts';
import type { CutRequest } from './request.ts';
import type { PreparedBase } from './root-file-system.ts';

/** The surroundings of a cut. */
export interface CutOptions {
  report: Reporter;
  signal: AbortSignal;
}

/**
 * Builds the image out of the store's root file system (or builds that first, when it is not there) and writes it with
 * its profiles into the volume.
 * @returns the names of the files written
 * @throws InvalidInputError with the fields as the caller has written them; errors of the stages
 */
export async function cut(request: CutRequest, base: PreparedBase, options: CutOptions): Promise<string[]> {
  const { loadPolicy } = await import('../policy/load.ts');
  const { resolveBuild } = await import('../spec/variables/resolve.ts');
  const { buildStages } = await import('../build/build.ts');
  const { multistrapProfile, qcowProfile } = await import('../stages/bundle/profiles.ts');
  const { readIsoEntry } = await import('../stages/iso/iso-entry.ts');
  const { readOsconfigEntry } = await import('../stages/osconfig/osconfig-entry.ts');
  const { readQcowEntry } = await import('../stages/qcow/qcow-entry.ts');
  const stage = request.imageType === 'iso' ? 'iso' : `qcow/${request.qcowName}`;
  const resolved = await withCallersFields(request, async () => {
    const spec = await validated(base.name, specOf(request, base.build));
    return await resolveBuild(base.name, spec, {
      cwd: base.directory,
      read: base.read,
      onlyNamedQcows: true,
    });
  });
  const entries = await buildStages(resolved, ['osconfig', stage], {
    ...options,
    cwd: base.directory,
    policy: await loadPolicy({ caller: 'person', env: process.env, cwd: base.directory }),
  });
  const image = request.imageType === 'iso' ? readIsoEntry(entries[stage]) : readQcowEntry(entries[stage]);
  const { packages } = readOsconfigEntry(entries.osconfig);
  const multistrap = multistrapProfile(resolved, packages).json;
  const { qcowName } = request;
  const result: CutResult = {
    path: image.path,
    md5: image.artifact.md5,
    multistrapProfile: multistrap,
    // An ISO has no variables of its own beside those of its root file system.
    entrypointProfile: qcowName === undefined ? multistrap : qcowProfile(qcowName, resolved, packages).json,
  };
  return await writeOutputs(request, result, options.signal);
}

/** The specification of the prepared root file system with the request's image, and nothing else that is built. */
export function specOf(request: Pick<CutRequest, 'build'>, base: BuildSpec): BuildSpec {
  const { qcows: _, qcowManifests: __, iso: ___, bundle: ____, bootTest: _____, ...rootfs } = base;
  return { ...rootfs, ...request.build };
}

async function validated(name: string, build: BuildSpec): Promise<BuildSpec> {
  const { spec } = await parseImageBuilder({
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name },
    spec: { build },
  });
  return spec.build ?? {};
}

/** Fields of the specification that we have made are those of the caller's files: `qcow.partitions[0]`. */
async function withCallersFields<Result>(request: CutRequest, step: () => Promise<Result>): Promise<Result> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    const prefixes = [
      `spec.build.qcows.${request.qcowName}.`,
      `spec.build.qcows["${request.qcowName}"].`,
      'spec.build.',
    ];
    const findings = error.findings().map((finding) => {
      const prefix = prefixes.find((candidate) => finding.field?.startsWith(candidate));
      return prefix === undefined
        ? finding
        : { ...finding, field: finding.field?.slice(prefix.length) ?? '' };
    });
    throw new InvalidInputError(findings, { cause: error });
  }
}
