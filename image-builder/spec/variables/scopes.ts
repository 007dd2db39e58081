// The variables that somebody has set: reading them from files and the object, and checking what they have become.
import { type Finding, InvalidInputError } from '../../base/diagnostics/error.ts';
import type { FieldPath } from '../../base/diagnostics/field-path.ts';
import type { SpecFiles } from '../../policy/spec-files.ts';
import type { BuildSpec, Repository } from '../api/types.ts';
import { parseRendered } from '../api/validate.ts';
import { type Manifests, qcowNames, readScripts } from './manifests.ts';
import { sourcesOf } from './multistrap.ts';
import { checkOsconfig, scriptProblem } from './osconfig-rules.ts';
import type { Layer } from './overrides.ts';
import {
  checkRepositories,
  readKeyringFiles,
  repositoriesWithKeys,
  withPackageLists,
} from './repositories.ts';
import type { ScriptFile } from './resolved-osconfig.ts';
import { referredNames, type Scope, type Scopes } from './templates.ts';
import { checkLayer, readLayer, withoutOwnVariables } from './variable-files.ts';

/** Roles whose variables are those of the root file system. */
export const ROLES = ['multistrap', 'osconfig', 'livecdcontent'] as const;

/** The variables that somebody has set, by role; unchecked. */
export async function readScopes(
  build: BuildSpec,
  manifests: Manifests,
  onlyNamed: boolean,
  findings: Finding[],
): Promise<Scopes> {
  const ofQcows: Manifests = onlyNamed ? { ...manifests, files: new Map() } : manifests;
  const layersOf = async (
    source: Manifests,
    file: string,
    field: FieldPath,
    inline: Record<string, unknown> | undefined,
  ) => {
    const layer = await collected(findings, readLayer(source, file, field));
    return [...(layer ? [layer] : []), ...(inline ? [{ values: inline, field }] : [])];
  };
  const rootfs: Scope = {
    kubernetes: await layersOf(
      manifests,
      'rootfs/kubernetes-vars.yaml',
      ['spec', 'build', 'kubernetes'],
      build.kubernetes,
    ),
  };
  for (const role of ROLES) {
    rootfs[role] = await layersOf(
      manifests,
      `rootfs/${role}-vars.yaml`,
      ['spec', 'build', 'rootfs', role],
      build.rootfs?.[role],
    );
  }
  rootfs.livecdcontent = (rootfs.livecdcontent ?? []).map(withoutProcessorFact);
  const qcows: Record<string, Scope> = {};
  for (const qcow of new Set([...qcowNames(ofQcows), ...Object.keys(build.qcows ?? {})])) {
    const scope: Scope = {};
    for (const role of ['osconfig', 'qcow'] as const) {
      scope[role] = await layersOf(
        ofQcows,
        `${ofQcows.qcowPrefix}${qcow}/${role}-vars.yaml`,
        ['spec', 'build', 'qcows', qcow, role],
        build.qcows?.[qcow]?.[role],
      );
    }
    qcows[qcow] = scope;
  }
  return { rootfs, qcows };
}

/** The predecessor's way to say "one thread for each processor", a fact of the machine that Ansible runs on. */
const PROCESSORS = /^\s*\{\{\s*ansible_processor_vcpus\s*(\|\s*int\s*)?\}\}\s*$/;

/** 0 says the same, and is the same on every machine. */
function withoutProcessorFact(layer: Layer): Layer {
  const { mksquashfs_threads: threads } = layer.values;
  if (typeof threads !== 'string' || !PROCESSORS.test(threads)) return layer;
  return { ...layer, values: { ...layer.values, mksquashfs_threads: 0 } };
}

/** `rendered` without the variables that are there for the templates of `given` only. */
export async function withoutOwn(rendered: Scopes, given: Scopes): Promise<Scopes> {
  const referred = referredNames(given);
  if (referred.size === 0) return rendered;
  return await mapLayers(rendered, (layer) => withoutOwnVariables(layer, referred));
}

/** Each layer replaced by what the function makes of it, or left out; one after another, in their order. */
async function mapLayers(
  { rootfs, qcows }: Scopes,
  change: (layer: Layer) => Promise<Layer | undefined>,
): Promise<Scopes> {
  const mapScope = async (scope: Scope) => {
    const mapped: Record<string, Layer[]> = {};
    for (const [role, layers] of Object.entries(scope)) {
      const kept: Layer[] = [];
      for (const layer of layers) {
        const changed = await change(layer);
        if (changed !== undefined) kept.push(changed);
      }
      mapped[role] = kept;
    }
    return mapped as Scope;
  };
  const mapped: Scopes = { rootfs: await mapScope(rootfs), qcows: {} };
  for (const [name, scope] of Object.entries(qcows)) mapped.qcows[name] = await mapScope(scope);
  return mapped;
}

/** What a step returns, or undefined when its findings were added to those of the others. */
export async function collected<Result>(
  findings: Finding[],
  step: Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await step;
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    findings.push(...error.findings());
    return undefined;
  }
}

/**
 * The scripts of the manifests for a context.
 * @param findings gets what is wrong with them
 */
export async function readCheckedScripts(
  manifests: Manifests,
  context: 'common' | 'qcow',
  findings: Finding[],
): Promise<ScriptFile[]> {
  const scripts = await readScripts(manifests, context);
  for (const { name, content } of scripts) {
    const message = scriptProblem(content);
    const file = manifests.files.get(`scripts/${context}/${name}`) ?? name;
    if (message) findings.push({ severity: 'error', field: 'spec.build.manifests', file, message });
  }
  return scripts;
}

/**
 * @param parse checks the schema: when a template is left, what templates may be is not known, and rules beyond the schema wait
 * @throws InvalidInputError with the findings of all layers at once, and those that were there before
 */
export async function checkScopes(
  { rootfs, qcows }: Scopes,
  files: SpecFiles,
  isOwn: (repository: Repository) => boolean,
  parse: typeof parseRendered,
  findings: Finding[],
): Promise<Scopes> {
  const sound = await mapLayers({ rootfs, qcows }, async (layer) => {
    const malformed = await checkLayer(layer, parse);
    findings.push(...malformed);
    return malformed.length === 0 && parse === parseRendered ? layer : undefined;
  });
  const { multistrap: sources = [], ...rest } = sound.rootfs;
  const keyed = repositoriesWithKeys(sources).flatMap(({ source }) => sourcesOf(source));
  for (const layer of sources) {
    findings.push(
      ...checkRepositories(
        layer,
        (repository) => keyed.includes(sourcesOf(repository.source)[0] ?? '') || isOwn(repository),
      ),
    );
  }
  for (const scope of [rest, ...Object.values(sound.qcows)]) {
    for (const layer of Object.values(scope).flat()) {
      findings.push(...checkOsconfig(layer));
    }
  }
  const multistrap = await Promise.all(
    sources.map((layer) => readKeyringFiles(withPackageLists(layer), files, findings)),
  );
  if (findings.length > 0) throw new InvalidInputError(findings);
  return { rootfs: { ...rootfs, multistrap }, qcows };
}
