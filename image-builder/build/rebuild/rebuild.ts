// Builds a bundle again from its description, in a store of its own that is thrown away: nothing that is known already
// counts, and nothing of it is kept.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { withDisks } from '../../bundle/disk-index.ts';
import { localReference } from '../../bundle/local-reference.ts';
import { listSboms, openSbom } from '../../bundle/sboms.ts';
import type { Digest } from '../../oci/digest.ts';
import { Image } from '../../oci/image.ts';
import { openLayout } from '../../oci/layout/layout-source.ts';
import { hashOf } from '../../pipeline/keys.ts';
import { createLocalSandbox } from '../../sandbox/local-sandbox.ts';
import { readBundleEntry } from '../../stages/bundle/bundle-entry.ts';
import type { Entry } from '../../store/entry.ts';
import { storeDirectory } from '../../store/location.ts';
import type { BuildOptions } from '../build-options.ts';
import { runTargets } from '../run-targets.ts';
import { type BuildSession, openSession } from '../session.ts';
import { digestsOf, diskName, type OriginalBundle, sbomName } from './original.ts';
import { readDescription, type Secrets } from './read-description.ts';
import { RebuildError } from './rebuild-error.ts';

/** A digest that is another one now. */
export interface DigestChange {
  /** `disk node.qcow2` */
  what: string;
  /** Absent: there was none. */
  before?: string;
  /** Absent: there is none. */
  after?: string;
}

/** What came of building a bundle again. */
export interface Rebuild<Comparison> {
  /** How many digests are the same. */
  same: number;
  different: DigestChange[];
  /** Tools of which this machine has another version: `before` the builder's, `after` this machine's. */
  tools: DigestChange[];
  /** What `compare` has found, when something differs. */
  comparison?: Comparison;
}

/** How it is built again. */
export interface RebuildOptions<Comparison>
  extends Pick<BuildOptions, 'cwd' | 'policy' | 'credentials' | 'report' | 'signal' | 'env'> {
  secrets: Secrets;
  /** Compares the bundle at a reference with the original, for as long as it is there. */
  compare(reference: string): Promise<Comparison>;
}

/**
 * Runs a build that somebody else has described, as any build runs.
 * @throws RebuildError; what a build throws
 */
export async function rebuild<Comparison>(
  original: OriginalBundle,
  options: RebuildOptions<Comparison>,
): Promise<Rebuild<Comparison>> {
  const { env = process.env, secrets } = options;
  // Beside the store, where there is room for builds.
  const store = storeDirectory(env, options);
  await mkdir(dirname(store), { recursive: true });
  const directory = await mkdtemp(`${store}-rebuild-`);
  try {
    const spec = join(directory, 'spec');
    await mkdir(spec);
    const { resolved, sourceDateEpoch } = await readDescription(original.description, secrets, spec);
    const { IMAGE_BUILDER_STORE_REPOSITORY: _, SOURCE_DATE_EPOCH: __, ...rest } = env;
    const session = await openSession(resolved, {
      ...options,
      cwd: spec,
      // A description names nothing of this machine, and its results go nowhere.
      policy: { ...options.policy, read: [], write: [], push: [], stores: [] },
      store: join(directory, 'store'),
      env: { ...rest, ...(sourceDateEpoch !== undefined && { SOURCE_DATE_EPOCH: `${sourceDateEpoch}` }) },
    });
    requireSameBuild(session, original);
    const { bundle } = await runTargets(session, ['bundle']);
    if (!bundle) throw new TypeError('the plan has no bundle');
    const found = await digestsOfEntry(bundle, session, original.isIndex);
    const different = changesBetween(original.digests, found);
    const { manifest, directory: layout } = readBundleEntry(bundle);
    return {
      same: Object.keys(found).length - different.filter(({ after }) => after !== undefined).length,
      different,
      tools: changesBetween(versionsIn(session, original), toolsOf(session)),
      ...(different.length > 0 && {
        comparison: await options.compare(localReference('oci', layout, manifest.digest).image),
      }),
    };
  } finally {
    await removeDirectory(directory);
  }
}

/**
 * Builds are the same when all their stages are asked for the same: what differs then was done by tools.
 * @throws RebuildError REBUILD_OTHER_BUILD
 */
function requireSameBuild({ stages }: BuildSession, { facts }: OriginalBundle): void {
  const bundle = stages.find(({ kind }) => kind === 'bundle');
  if (hashOf(bundle?.inputs) !== facts.variables)
    throw new RebuildError(
      'REBUILD_OTHER_BUILD',
      'the description gives another build than the provenance names',
      {
        hint: 'Check the values of --secrets; a base image by tag must still stand for the same.',
      },
    );
  const others = stages.filter(({ name, recipe }) => name in facts.recipes && facts.recipes[name] !== recipe);
  if (others.length === 0) return;
  const names = others.map(({ name }) => name).join(', ');
  throw new RebuildError(
    'REBUILD_OTHER_BUILD',
    `this release works otherwise than the one that built it: ${names}`,
    {
      hint: `Every disk has identifiers that follow from its stages; use the release ${facts.versions['image-builder'] ?? 'of the builder'}.`,
    },
  );
}

const toolsOf = ({ stages }: BuildSession): Record<string, string> =>
  Object.assign(
    {},
    ...stages.filter(({ kind }) => kind !== 'boot-test').map(({ toolVersions }) => toolVersions),
  );

/** The builder's versions of the tools that are used here. */
function versionsIn(session: BuildSession, { facts: { versions } }: OriginalBundle): Record<string, string> {
  return Object.fromEntries(
    Object.keys(toolsOf(session)).flatMap((tool) => (tool in versions ? [[tool, versions[tool] ?? '']] : [])),
  );
}

async function digestsOfEntry(
  entry: Entry,
  { resolved }: BuildSession,
  isIndex: boolean,
): Promise<Record<string, string>> {
  const { directory, manifest, artifacts } = readBundleEntry(entry);
  const layout = await openLayout({ transport: 'oci', path: directory, digest: manifest.digest as Digest });
  try {
    const architecture = resolved.rootfs.multistrap.rootfs_arch;
    const source = isIndex ? await withDisks({ source: layout, artifacts, architecture }) : layout;
    const image = await Image.open(source, { platform: { os: 'linux', architecture } });
    const sboms: [string, string][] = [];
    for await (const listed of listSboms(layout, manifest.digest)) {
      const { descriptor } = await openSbom(layout, listed);
      sboms.push([sbomName(`${listed.file?.replace(/\.qcow2$/, '')}.spdx.json`), descriptor.digest]);
    }
    const disks = Object.values(artifacts.qcows).map(({ file, sha256 }) => [
      diskName(file),
      `sha256:${sha256}`,
    ]);
    return { ...digestsOf(image.digest, image.manifest), ...Object.fromEntries([...disks, ...sboms]) };
  } finally {
    await layout.close();
  }
}

function changesBetween(before: Record<string, string>, after: Record<string, string>): DigestChange[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((what) => {
    const [a, b] = [before[what], after[what]];
    return a === b
      ? []
      : [{ what, ...(a !== undefined && { before: a }), ...(b !== undefined && { after: b }) }];
  });
}

async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 }).catch(async () => {
    // Files may belong to subordinate ids.
    await (await createLocalSandbox()).run(['rm', '-rf', '--', directory]);
  });
}
