// What becomes of a machine that is a control plane: another machine joins it, and is asked what every node is asked.
import { shellWord } from '../../../base/diagnostics/shell-word.ts';
import { BootError } from '../boot-error.ts';
import { GuestReport, type GuestTestResult, type UnmetTest } from '../guest-tests.ts';
import { joinTests } from '../join/guest-tests.ts';
import { type Cluster, NodeProof } from '../join/node-proof.ts';
import type { CommandResult } from '../join/processes.ts';
import type { Proof } from '../proving.ts';
import type { RunningMachine } from '../run-machine.ts';
import { invitationOf, WORKER } from './guest-tests.ts';

/** Boots the other machine; resolves when its report is complete, and the trial has ended. */
export type BootWorker = (report: GuestReport, proof: Proof, signal: AbortSignal) => Promise<void>;

/** A control plane on trial. */
export class InitProof implements Proof {
  readonly results: GuestTestResult[] = [];
  /** Of the other machine, whose name they begin with. */
  unmet: UnmetTest[] = [];
  readonly #report: GuestReport;
  readonly #token: string;
  readonly #bootWorker: BootWorker;
  readonly #step: (message: string) => void;
  #worker: { report: GuestReport; proof: NodeProof } | undefined;

  /**
   * @param report of the control plane
   * @param token that its cluster accepts
   * @param step is told what happens
   */
  constructor(report: GuestReport, token: string, bootWorker: BootWorker, step: (message: string) => void) {
    this.#report = report;
    this.#token = token;
    this.#bootWorker = bootWorker;
    this.#step = step;
  }

  /** Wall time until the other machine was Ready for the first time, on the clock of `performance.now()`. */
  get readyAt(): number | undefined {
    return this.#worker?.proof.readyAt;
  }

  get progress(): string {
    const { report, proof } = this.#worker ?? {};
    return `${WORKER.name}: ${(report?.isMet && proof?.progress) || (report ?? this.#report).progress}`;
  }

  async run(machine: RunningMachine, signal: AbortSignal): Promise<void> {
    const invitation = invitationOf(this.#report.results, this.#token);
    if (invitation === undefined)
      throw new BootError(
        'TESTS_FAILED',
        'kubeadm init has not told the hash of the authority of its cluster',
      );
    this.#step(`kubeadm init has ended; boot ${WORKER.name}, which is to join`);
    const report = new GuestReport(joinTests(invitation, WORKER));
    const proof = new NodeProof(clusterIn(machine), WORKER.name, this.#step);
    this.#worker = { report, proof };
    await this.#bootWorker(report, proof, signal);
    this.results.push(...[...report.results, ...proof.results].map(ofWorker));
    this.unmet = [...report.unmet, ...proof.unmet].map(ofWorker);
  }
}

const ofWorker = <T extends { name: string }>(one: T): T => ({ ...one, name: `${WORKER.name}: ${one.name}` });

/** kubectl in the machine itself: the keys of the cluster never leave it. */
function clusterIn(machine: RunningMachine): Cluster {
  return {
    async kubectl(args, { seconds, input }): Promise<CommandResult> {
      const command = ['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', ...args].map(shellWord);
      const document = input === undefined ? '' : ` <<'INPUT'\n${JSON.stringify(input)}\nINPUT\n`;
      const { status, output } = await machine.run({
        name: args.join(' '),
        script: `exec ${command.join(' ')}${document}`,
        timeoutSeconds: seconds,
      });
      return { ...(status !== undefined && { status }), stdout: output, output };
    },
  };
}
