// `whenMissing: Trigger`: leaves the build to a process that outlives the render, one for each result however many
// renders ask, and tells later renders what has become of it.
//
// The render takes the trigger's lock and the background process inherits it, still locked: there is no moment in
// which a second render could start another, and however the process ends, the kernel frees the lock.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/diagnostics/errno.ts';
import type { Finding } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import { replaceFile } from '../../base/files/replace.ts';
import { tryLock } from '../../base/locking/file-lock.ts';
import type { Policy } from '../../policy/policy.ts';
import { howToAllow } from '../../policy/refusal.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type { Entry } from '../../store/entry.ts';
import { storeFailure } from '../../store/errors.ts';
import { prepareStore, type Store, storePath } from '../../store/store.ts';
import type { BuildOptions } from '../build-options.ts';
import { MissingResultError } from '../missing-result-error.ts';
import { formatBuildCommand, type SpecSource } from '../spec-source.ts';

/** What the background process reads from its standard input; it holds secrets, so it is in no file. */
export interface TriggeredBuild {
  resolved: ResolvedBuild;
  /** Directory of the trigger. */
  directory: string;
  /** Those of the build that the render would have made. */
  surroundings: Pick<BuildOptions, 'cwd' | 'policy' | 'store' | 'pinned' | 'credentials'>;
}

/** The build that is wanted, and who wants it. */
export interface TriggerRequest {
  /** Identity of the result; the same for all renders that want it. */
  id: string;
  resolved: ResolvedBuild;
  store: Store;
  surroundings: TriggeredBuild['surroundings'];
  source: SpecSource;
  /** Command that runs this program's `run-triggered`. */
  command: readonly string[];
  env: Env;
  /** Start again what has failed: somebody asks for it in person. */
  retry: boolean;
}

/** `state.json`: the newest attempt. */
interface TriggerState {
  /** ISO 8601. */
  startedAt: string;
  /** Attempts so far that ended without a word. */
  attempts: number;
  /** Process id of the attempt, for people; it means nothing in another PID namespace. */
  pid?: number;
}

const LOCK = 'lock';
const STATE = 'state.json';
const LOG = 'log';
/** Findings of the attempt that failed. */
const FAILURE = 'failure.json';
/** A build that vanished (the machine restarted, somebody killed it) is started again, but not forever. */
const MAX_ATTEMPTS = 3;

/**
 * Starts the build in the background unless it runs or has failed.
 * @param find looks for the result once more, under the trigger's lock
 * @returns the result, when it has appeared meanwhile
 * @throws MissingResultError that says where to follow the build, or how it has failed
 */
export async function triggerBuild(
  request: TriggerRequest,
  find: () => Promise<Entry | undefined>,
): Promise<Entry> {
  const { store } = request;
  await prepareStore(store);
  const directory = storePath(store, 'triggers', request.id);
  try {
    await mkdir(directory, { recursive: true });
    const lock = await tryLock(join(directory, LOCK));
    const state = await readJson<TriggerState>(join(directory, STATE));
    if (!lock) throw running(request, directory, state);
    try {
      const found = await find();
      if (found) return found;
      if (!request.retry) await refuseToRepeat(request, directory, state);
      const attempts = request.retry ? 1 : (state?.attempts ?? 0) + 1;
      await rm(join(directory, FAILURE), { force: true });
      const started: TriggerState = { startedAt: new Date().toISOString(), attempts };
      // Before: an attempt that takes this process down with it counts too.
      await writeJson(join(directory, STATE), started);
      const pid = await startBackground(request, directory, lock.fd);
      await writeJson(join(directory, STATE), { ...started, ...(pid !== undefined && { pid }) });
      throw new MissingResultError(
        'BUILD_TRIGGERED',
        `the bundle is not built yet; a build was started in the background. ${whereToFollow(request, directory)}`,
        { log: join(directory, LOG) },
      );
    } finally {
      await lock.release();
    }
  } catch (error) {
    throw errnoOf(error) === undefined ? error : storeFailure(error, 'start a build', store.directory);
  }
}

/**
 * In a container that the function itself is the first process of, whatever it leaves behind ends with it.
 * @throws MissingResultError there
 */
export function refuseInContainer(source: SpecSource): void {
  if (process.pid !== 1) return;
  throw new MissingResultError(
    'RESULT_MISSING',
    'the bundle is not built yet, and a render in a container cannot start a background build, which would end with the ' +
      `container; build it outside with: ${formatBuildCommand(source)}`,
  );
}

/**
 * A build goes on after the render, and after the job that the render belongs to.
 * @throws MissingResultError where the policy does not want that
 */
export function refuseInBackground(source: SpecSource, { backgroundBuilds }: Policy): void {
  if (backgroundBuilds) return;
  const how = howToAllow({
    variable: 'IMAGE_BUILDER_BACKGROUND_BUILDS=allow',
    line: 'backgroundBuilds: true',
  });
  throw new MissingResultError(
    'RESULT_MISSING',
    `the bundle is not built yet, and background builds need permission; ${how}. ` +
      `Or build it with: ${formatBuildCommand(source)}`,
  );
}

/** Notes why the background build has failed; the next render tells. */
export async function recordFailure(directory: string, findings: readonly Finding[]): Promise<void> {
  await writeJson(join(directory, FAILURE), findings);
}

function running(
  request: TriggerRequest,
  directory: string,
  state: TriggerState | undefined,
): MissingResultError {
  const since = state ? ` since ${state.startedAt}` : '';
  return new MissingResultError(
    'BUILD_RUNNING',
    `the bundle is being built in the background${since}. ${whereToFollow(request, directory)}`,
    { log: join(directory, LOG) },
  );
}

/** @throws MissingResultError when the same inputs have failed before: a render must not build in a loop */
async function refuseToRepeat(
  request: TriggerRequest,
  directory: string,
  state: TriggerState | undefined,
): Promise<void> {
  const findings = await readJson<Finding[]>(join(directory, FAILURE));
  const vanished = (state?.attempts ?? 0) >= MAX_ATTEMPTS;
  if (!findings && !vanished) return;
  const how = findings ? 'has failed' : `ended ${MAX_ATTEMPTS} times without reporting a reason`;
  throw new MissingResultError(
    'TRIGGERED_BUILD_FAILED',
    `the background build of ${state?.startedAt ?? 'earlier'} ${how}; its log: ${join(directory, LOG)}; ` +
      `to retry with the same inputs: ${formatBuildCommand(request.source)}`,
    { log: join(directory, LOG) },
    findings ?? [],
  );
}

function whereToFollow({ source }: TriggerRequest, directory: string): string {
  return `Follow it: tail -f ${join(directory, LOG)}; wait for it: ${formatBuildCommand(source)}`;
}

/** Starts the process that builds; it has nothing of ours but the log and the lock. Returns its id. */
async function startBackground(
  request: TriggerRequest,
  directory: string,
  lockFd: number,
): Promise<number | undefined> {
  const [file = process.execPath, ...args] = request.command;
  // Anew, since it may be another user's, or a link.
  await rm(join(directory, LOG), { force: true });
  const log = await open(join(directory, LOG), 'wx', 0o600);
  try {
    const child = spawn(file, args, {
      cwd: request.surroundings.cwd,
      env: request.env,
      detached: true,
      stdio: ['pipe', log.fd, log.fd, lockFd],
    });
    await hasStarted(child);
    const { resolved, surroundings } = request;
    const build: TriggeredBuild = { resolved, directory, surroundings };
    await handOver(child, JSON.stringify(build));
    child.unref();
    return child.pid;
  } finally {
    await log.close();
  }
}

function hasStarted(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

/** Sends the text and closes the pipe; a child that died at once says why in its log. */
function handOver(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    child.stdin?.once('error', () => resolve());
    child.stdin?.end(text, () => resolve());
  });
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    // Never written, or half written by a machine that lost power: then nothing is known.
    return undefined;
  }
}

async function writeJson(path: string, value: TriggerState | readonly Finding[]): Promise<void> {
  await replaceFile(path, `${JSON.stringify(value)}\n`, { mode: 0o600 });
}
