// The part of the executor `kubernetes` that runs in a Pod: one step of one stage, or what decides keys in this image.
import { readFile, writeFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { type Finding, findingsOf, ImageBuilderError } from '../../base/diagnostics/error.ts';
import type { Reporter } from '../../base/diagnostics/progress.ts';
import { formatFindingAsJson } from '../../base/diagnostics/render.ts';
import { ClusterError } from '../../cluster/cluster-error.ts';
import { version } from '../../embedded/release.ts';
import { findEntry } from '../../pipeline/lookup.ts';
import type { PlannedStage } from '../../pipeline/plan.ts';
import { stageCode } from '../../stages/stage-code.ts';
import { toolVersions } from '../../stages/tool-versions.ts';
import type { SharedStore } from '../../store/shared/shared-store.ts';
import { prepareStore } from '../../store/store.ts';
import { createWorkspace, treeRemover } from '../../store/workspace.ts';
import { runTargets } from '../run-targets.ts';
import { type BuildSession, openSession } from '../session.ts';
import { openShared } from '../shared/shared-results.ts';
import { runInUserNamespace } from './in-user-namespace.ts';
import { patiently } from './patience.ts';
import { podPolicy, registryEnvironment } from './pod-surroundings.ts';
import { type Builder, type BuilderQuestion, IN_POD, type StageRequest } from './protocol.ts';

/** How the program in a Pod is surrounded. */
interface Surroundings {
  report: Reporter;
  signal: AbortSignal;
  /** The command that starts this program again. */
  program: readonly string[];
}

/** As the Job starts this program. */
const OPTIONS = ['--log-format', 'json'];

/** The cluster keeps 4,096 bytes of last words. */
const LAST_WORDS_BYTES = 4096;

/**
 * Does a step; what goes wrong is left as last words.
 * @param question of `describe`: JSON
 * @returns the exit status
 */
export async function runInPod(
  step: string,
  question: string | undefined,
  surroundings: Surroundings,
): Promise<number> {
  try {
    if (step === 'describe-confined') await requireMounts(surroundings.signal);
    // Where the trial has succeeded, it was in a user namespace.
    const mounts = step === 'describe-confined' ? true : undefined;
    if (step.startsWith('describe')) await leave(await describe(JSON.parse(question ?? ''), mounts));
    else if (step === 'build-confined')
      return await runInUserNamespace(
        [...surroundings.program, ...OPTIONS, 'run-job', 'build'],
        surroundings.signal,
      );
    else if (step === 'drive') await (await import('./drive.ts')).drive(await readRequest(), surroundings);
    else await runStep(step, await readRequest(), surroundings);
    return 0;
  } catch (error) {
    // Where it is nobody will ever look; what was in it the cluster keeps.
    if (error instanceof ImageBuilderError) delete error.log;
    const findings = findingsOf(error);
    for (const finding of findings) process.stderr.write(`${formatFindingAsJson(finding)}\n`);
    await leave({ findings: shortened(findings) });
    return 1;
  }
}

async function runStep(step: string, request: StageRequest, surroundings: Surroundings): Promise<void> {
  const session = await openInPod(request, surroundings);
  const stage = session.stages.find(({ name }) => name === request.stage);
  if (!stage || stage.key !== request.key) throw otherVersion(request, stage);
  switch (step) {
    case 'fetch':
      return await fetchParents(session, stage, request);
    case 'build':
      await runTargets(session, [stage.name]);
      return;
    case 'push':
      return await pushResult(session, stage, request);
    default:
      throw new TypeError(`there is no step ${step}`);
  }
}

async function readRequest(): Promise<StageRequest> {
  return JSON.parse(gunzipSync(await readFile(IN_POD.request)).toString('utf8'));
}

/** The surroundings that the caller has, as far as they are anybody's business here. */
async function openInPod({ resolved, store, environment, mounts }: StageRequest, surroundings: Surroundings) {
  Object.assign(process.env, environment, registryEnvironment());
  const session = await openSession(resolved, {
    ...surroundings,
    cwd: '/',
    policy: podPolicy(store),
    believes: () => true,
    env: process.env,
    mounts,
  });
  await prepareStore(session.store);
  // What comes from the shared store and goes there is a step of its own, which this program takes when it is its turn.
  return { ...session, shared: async () => undefined };
}

/** Gets what the stage starts from: it was pushed before this Job was made. */
async function fetchParents(
  session: BuildSession,
  stage: PlannedStage,
  request: StageRequest,
): Promise<void> {
  const shared = await storeOf(session, request);
  const workspace = await createWorkspace(session.store, treeRemover());
  try {
    // An earlier Pod of the same Job may have got as far as pushing it.
    const wanted = (await patiently(() => shared.has(stage), session)) ? [stage.name] : stage.parents;
    for (const parent of session.stages.filter(({ name }) => wanted.includes(name))) {
      if (await findEntry(session.store, parent, session.signal)) continue;
      const entry = await patiently(
        () => shared.pull(parent, 'key', session.store, workspace.directory),
        session,
      );
      if (entry) continue;
      const name = `${parent.kind}-${parent.key}`;
      throw new ClusterError(
        'JOB_FAILED',
        `${request.store.repository} has no ${name} that may be believed`,
        {
          hint: 'it was there when the Job was made: was it removed, or is it signed by another key than the caller trusts?',
        },
      );
    }
  } finally {
    await workspace.dispose();
  }
}

async function storeOf(session: BuildSession, { store }: StageRequest): Promise<SharedStore> {
  const resolved = { ...session.resolved, store: { repository: store.repository, push: true } };
  const shared = await patiently(() => openShared(resolved, { ...session, isRequired: true }), session);
  if (!shared) throw new TypeError('the request names no shared store');
  return shared;
}

async function pushResult(session: BuildSession, stage: PlannedStage, request: StageRequest): Promise<void> {
  const entry = await findEntry(session.store, stage, session.signal);
  if (!entry) throw new ClusterError('JOB_FAILED', `the stage ${stage.name} has left no result`);
  const shared = await storeOf(session, request);
  await patiently(() => shared.push(entry), session);
}

/** Makes sure that a build can mount in a user namespace of this Pod. @throws ClusterError CLUSTER_UNSUITABLE */
async function requireMounts(signal: AbortSignal): Promise<void> {
  const trial = ['unshare', '--mount', '--pid', '--fork', 'mount', '-t', 'proc', 'proc', '/proc'];
  if ((await runInUserNamespace(trial, signal)) === 0) return;
  throw new ClusterError('CLUSTER_UNSUITABLE', 'root of a user namespace in this Pod cannot mount /proc', {
    hint: 'the node needs containerd 2 or CRI-O 1.31, and no seccomp or AppArmor profile that forbids mounting',
  });
}

async function describe({ architecture, tools }: BuilderQuestion, mounts?: boolean): Promise<Builder> {
  return { version, code: { ...stageCode }, tools: await toolVersions(new Set(tools), architecture, mounts) };
}

function otherVersion({ stage, key }: StageRequest, own: PlannedStage | undefined): ClusterError {
  return new ClusterError(
    'BUILDER_UNSUITABLE',
    `the builder image would make ${stage} with the key ${own?.key ?? '(none)'}, and the caller wants ${key}`,
    { hint: `it has Image Builder ${version}; use the builder image of the caller's version` },
  );
}

async function leave(words: object): Promise<void> {
  await writeFile(IN_POD.lastWords, JSON.stringify(words)).catch(() => {});
}

/** Findings that fit: the beginning of a message says what failed, its end says why. */
function shortened(findings: readonly Finding[]): Finding[] {
  for (let length = LAST_WORDS_BYTES; length > 100; length = Math.floor(length * 0.8)) {
    const short = findings
      .slice(0, 5)
      .map((finding) => ({ ...finding, message: middleOut(finding.message, length) }));
    if (Buffer.byteLength(JSON.stringify({ findings: short })) <= LAST_WORDS_BYTES) return short;
  }
  return findings
    .slice(0, 1)
    .map(({ severity, message }) => ({ severity, message: middleOut(message, 100) }));
}

function middleOut(text: string, length: number): string {
  if (text.length <= length) return text;
  const half = Math.floor(length / 2) - 2;
  return `${text.slice(0, half)}\n…\n${text.slice(-half)}`;
}
