// A small pipeline of real stages: a tree of files, packed, changed, turned into images by the machine's tools, tested,
// and put into a bundle that can be published.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Reporter } from '../../../image-builder/base/diagnostics/progress.ts';
import { assembleBundle } from '../../../image-builder/bundle/write/assemble.ts';
import { publishBundle } from '../../../image-builder/bundle/write/destination.ts';
import type { Descriptor } from '../../../image-builder/oci/model.ts';
import { explainFullDisk } from '../../../image-builder/pipeline/full-disk.ts';
import { type PlannedStage, planStages, type StageDefinition } from '../../../image-builder/pipeline/plan.ts';
import { withRepairs } from '../../../image-builder/pipeline/repair.ts';
import { runStages } from '../../../image-builder/pipeline/scheduler.ts';
import type { StageRun } from '../../../image-builder/pipeline/stage-runner.ts';
import { createLocalSandbox } from '../../../image-builder/sandbox/local-sandbox.ts';
import type { Entry } from '../../../image-builder/store/entry.ts';
import { openStore, prepareStore } from '../../../image-builder/store/store.ts';
import { createWorkspace, treeRemover } from '../../../image-builder/store/workspace.ts';
import { sameCode } from '../../support/same-code.ts';

/** What the small build depends on. */
export interface SmallInputs {
  /** Content of the tree. */
  content: string;
  /** A setting of the configured tree. */
  setting: string;
  /** Images by name, with what each says. */
  images: Record<string, string>;
  /** Shell text that the stage `configure` runs in addition, for faults. */
  script?: string;
  /** Seconds that each stage takes at least. */
  delay?: number;
  /** Test the images, too. */
  tested?: boolean;
  /** Shell text that the tests run first, for faults. */
  test?: string;
}

export function smallPlan(inputs: SmallInputs): PlannedStage[] {
  const images = Object.keys(inputs.images).sort();
  const definitions: StageDefinition[] = [
    { name: 'rootfs', kind: 'rootfs', inputs: { content: inputs.content }, parents: [], tools: ['tar'] },
    {
      name: 'osconfig',
      kind: 'osconfig',
      inputs: { setting: inputs.setting },
      parents: ['rootfs'],
      treeOf: 'rootfs',
      tools: [],
    },
    ...images.map(
      (name): StageDefinition => ({
        name: `qcow/${name}`,
        kind: 'qcow',
        inputs: { says: inputs.images[name] },
        parents: ['osconfig'],
        treeOf: 'osconfig',
        tools: [],
      }),
    ),
    ...(inputs.tested ? images : []).map(
      (name): StageDefinition => ({
        name: `boot-test/${name}`,
        kind: 'boot-test',
        inputs: {},
        parents: [`qcow/${name}`],
        tools: [],
      }),
    ),
    { name: 'bundle', kind: 'bundle', inputs: {}, parents: images.map((name) => `qcow/${name}`), tools: [] },
  ];
  return planStages(definitions, sameCode('small'), { tar: '1' });
}

function workOf({ delay = 0, script = '', test = ':' }: SmallInputs) {
  const shell = (text: string, args: string[], context: StageRun['context']) =>
    context.sandbox.run(['sh', '-euc', text, 'sh', ...args], {
      signal: context.signal,
      onLine: context.output,
    });
  const pack = `tar --sort=name --mtime=@$3 --owner=0 --group=0 -C "$1" -cf "$2" .; sleep ${delay}`;
  return {
    rootfs: async ({ stage, context }: StageRun) => {
      const tree = join(context.workDir, 'tree');
      await mkdir(tree);
      context.step('make the tree');
      await writeFile(join(tree, 'content'), (stage.inputs as { content: string }).content.repeat(100_000));
      await shell(pack, [tree, join(context.outputDir, 'tree.tar'), `${context.sourceDateEpoch}`], context);
      return { tree };
    },
    osconfig: async ({ stage, parents, tree, context }: StageRun) => {
      const root = tree ?? (await unpack(parents.rootfs as Entry, context, shell));
      await shell(script, [root], context);
      await writeFile(join(root, 'setting'), (stage.inputs as { setting: string }).setting);
      await shell(pack, [root, join(context.outputDir, 'tree.tar'), `${context.sourceDateEpoch}`], context);
      return { tree: root, facts: { unpacked: tree === undefined } };
    },
    qcow: async ({ stage, parents, tree, context }: StageRun) => {
      const root = tree ?? (await unpack(parents.osconfig as Entry, context, shell));
      await writeFile(join(root, 'image'), (stage.inputs as { says: string }).says);
      await shell(pack, [root, join(context.outputDir, 'image'), `${context.sourceDateEpoch}`], context);
      return { facts: { unpacked: tree === undefined } };
    },
    'boot-test': async ({ parents, context }: StageRun) => {
      const [image] = Object.values(parents) as [Entry];
      const check = `${test}; tar -tf "$1" > "$2"; sleep ${delay}`;
      await shell(check, [join(image.directory, 'image'), join(context.outputDir, 'console.txt')], context);
      return {};
    },
    bundle: async ({ parents, context }: StageRun) => {
      const digests = Object.entries(parents).map(
        ([name, entry]) => `${name} ${entry.files.image?.sha256}\n`,
      );
      await writeFile(join(context.outputDir, 'digests'), digests.join(''));
      const json = JSON.stringify(digests);
      const { manifest } = await assembleBundle(
        {
          qcows: {},
          profiles: [{ path: '/profiles/profile_small.json', name: 'profile_small', json }],
          created: context.sourceDateEpoch,
          architecture: 'amd64',
          labels: {},
        },
        join(context.outputDir, 'layout'),
      );
      await shell(`sleep ${delay}`, [], context);
      return { facts: { manifest } };
    },
  };
}

async function unpack(
  parent: Entry,
  context: StageRun['context'],
  shell: (text: string, args: string[], context: StageRun['context']) => Promise<string>,
): Promise<string> {
  const tree = join(context.workDir, 'tree');
  await shell('mkdir "$1"; tar -C "$1" -xf "$2"', [tree, join(parent.directory, 'tree.tar')], context);
  return tree;
}

/** Runs the small build in a store. */
export async function smallBuild(
  directory: string,
  inputs: SmallInputs,
  options: { report?: Reporter; signal?: AbortSignal; concurrency?: number } = {},
): Promise<Entry> {
  const store = await openStore(directory);
  const plan = smallPlan(inputs);
  const work = workOf(inputs);
  const targets = plan.map(({ name }) => name).filter((name) => /^(bundle|boot-test)/.test(name));
  await prepareStore(store);
  const sandbox = await createLocalSandbox();
  const workspace = await createWorkspace(
    store,
    treeRemover(async (path) => {
      await sandbox.run(['rm', '-rf', '--', path]);
    }),
  );
  try {
    const results = await withRepairs(store, plan, workspace.directory, () =>
      runStages(plan, targets, {
        store,
        workspace,
        sandbox,
        build: 'small',
        implement: ({ kind }) => work[kind as keyof typeof work],
        sourceDateEpoch: 1_700_000_000,
        report: () => {},
        signal: new AbortController().signal,
        ...options,
      }),
    );
    return results.bundle as Entry;
  } catch (error) {
    throw await explainFullDisk(error, store);
  } finally {
    await workspace.dispose();
  }
}

/** Publishes the bundle of the small build in an OCI layout; returns its reference. */
export async function publishSmall(bundle: Entry, directory: string): Promise<string> {
  const { manifest } = bundle.facts as { manifest: Descriptor };
  const { image } = await publishBundle(
    { directory: join(bundle.directory, 'layout'), manifest },
    { kind: 'layout', path: directory, tag: 'v1' },
    { cwd: '/' },
  );
  return image;
}
