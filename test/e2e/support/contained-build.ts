// One QCOW from the prepared root file system, built through the executor `container` by the executable as it is shipped.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments, stringify } from 'yaml';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { preparedSpec } from './prepared-image.ts';

/** What the object says; undefined fields are left out. */
export interface ContainedObject {
  /** undefined: the executor `local`. */
  executor?: BuildSpec['executor'];
  layout?: string | undefined;
  /** Value of config.kubernetes.io/function. */
  annotation?: string;
  /** Laid over everything else of spec.build. */
  changes?: Partial<BuildSpec>;
}

/** The text of an ImageBuilder object named `contained`. */
export async function containedObject({
  executor,
  layout,
  annotation,
  changes,
}: ContainedObject): Promise<string> {
  const build: BuildSpec = {
    ...(await preparedSpec()),
    qcows: { node: { qcow: { qcow_capacity: '3G' } } },
    bundle: { ...(layout && { layout }), tag: 'v1' },
    ...(executor && { executor }),
    ...changes,
  };
  const annotations = annotation && { 'config.kubernetes.io/function': annotation };
  return stringify({
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name: 'contained', ...(annotations && { annotations }) },
    spec: { build },
  });
}

/** The bundle's digest in the catalogues that were printed; throws what the build said when it failed. */
export function digestIn({
  status,
  stdout,
  stderr,
}: {
  status: number;
  stdout: string;
  stderr: string;
}): string {
  if (status !== 0) throw new Error(stderr);
  const artifacts = parseAllDocuments(stdout)
    .map((document) => document.toJS())
    .find(({ metadata }) => metadata?.name === 'contained-artifacts');
  return artifacts.bundle.digest;
}

/** A command on its way. */
export interface Running {
  child: ChildProcess;
  exited: Promise<{ status: number | null; stderr: string }>;
  /** What is on standard error so far. */
  said(): string;
  /** Waits until standard error has the text. */
  prints(text: string): Promise<void>;
}

/** Starts a command line. */
export function start([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Running {
  const child = spawn(file, args, { env, cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = new Promise<{ status: number | null; stderr: string }>((done) =>
    child.once('close', (status) => done({ status, stderr })),
  );
  const prints = async (text: string) => {
    while (!stderr.includes(text)) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`ended before ${text}:\n${stderr}`);
      await sleep(50);
    }
  };
  return { child, exited, said: () => stderr, prints };
}

/** Waits until the expectation holds; the last failure is thrown. */
export async function eventually(expectation: () => Promise<void>): Promise<void> {
  for (let attempt = 0; attempt < 240; attempt++) {
    try {
      return await expectation();
    } catch {
      await sleep(250);
    }
  }
  await expectation();
}
