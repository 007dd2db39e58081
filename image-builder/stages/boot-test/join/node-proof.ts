// Asks a node that has joined one thing after the other, until one is not met.
import { throwIfCancelled } from '../../../base/diagnostics/cancelled.ts';
import type { GuestTestResult, UnmetTest } from '../guest-tests.ts';
import type { Proof } from '../proving.ts';
import type { RunningMachine } from '../run-machine.ts';
import { type Kubectl, type NodeTest, nodeTests } from './node-tests.ts';
import type { CommandResult } from './processes.ts';

/** What a proof needs of a control plane. */
export interface Cluster {
  kubectl(
    args: readonly string[],
    options: { seconds: number; input?: object; signal: AbortSignal },
  ): Promise<CommandResult>;
}

const EXPLAIN_SECONDS = 60;

/** What becomes of a machine that has joined. */
export class NodeProof implements Proof {
  readonly results: GuestTestResult[] = [];
  unmet: UnmetTest[] = [];
  readyAt: number | undefined;
  #current = '';
  readonly #cluster: Cluster;
  readonly #nodeName: string;
  readonly #step: (message: string) => void;

  /** @param step is told each result */
  constructor(cluster: Cluster, nodeName: string, step: (message: string) => void) {
    this.#cluster = cluster;
    this.#nodeName = nodeName;
    this.#step = step;
  }

  get progress(): string {
    return `${this.#current} was running`;
  }

  async run(machine: RunningMachine, signal: AbortSignal): Promise<void> {
    const kubectl: Kubectl = async (args, options) => {
      const result = await this.#cluster.kubectl(args, { ...options, signal });
      throwIfCancelled(signal);
      return result;
    };
    const tests = nodeTests(this.#nodeName, machine, signal);
    for (const [index, test] of tests.entries()) {
      this.#current = test.name;
      const result = await ask(test, kubectl);
      this.results.push(result);
      if (!result.isMet) {
        const [first, ...others] = tests.slice(index).map(described);
        this.unmet = [{ ...(first ?? described(test)), ...result }, ...others];
        return;
      }
      this.readyAt ??= performance.now();
      this.#step(`${test.name} after ${result.seconds} s`);
    }
  }
}

const described = ({ name, timeoutSeconds, expected }: NodeTest): UnmetTest => ({
  name,
  script: '',
  timeoutSeconds,
  ...(expected !== undefined && { expected }),
});

async function ask(test: NodeTest, kubectl: Kubectl): Promise<GuestTestResult> {
  const { name, timeoutSeconds, expected, explain } = test;
  const started = performance.now();
  const passed = () => (performance.now() - started) / 1000;
  const left = () => Math.max(1, Math.ceil(timeoutSeconds - passed()));
  const { status, stdout, output } = await test.run(kubectl, left);
  const seconds = Math.round(passed() * 10) / 10;
  const isMet = status === 0 && (expected === undefined || stdout.trim() === expected);
  const said = status === 0 ? stdout : output;
  const more = !isMet && explain ? (await kubectl(explain, { seconds: EXPLAIN_SECONDS })).output : '';
  return {
    name,
    isMet,
    ...(status !== undefined && { status }),
    seconds,
    output: printable([more, said].filter(Boolean).join('\n')),
  };
}

/** Terminals obey control characters, and it is the node that says it. */
const printable = (text: string) => text.replace(/[^\P{Cc}\n\t]/gu, '');
