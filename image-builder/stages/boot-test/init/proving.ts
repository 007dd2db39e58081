// An image is proven by becoming a control plane, which a second machine joins by a cable between the two.
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Accelerator } from '../accelerator.ts';
import type { BootTestOptions } from '../boot-test-options.ts';
import { writeConfigDrive } from '../config-drive.ts';
import { LOGIN_PROMPT } from '../console.ts';
import { describeMachine } from '../describe-machine.ts';
import { newToken } from '../join/invitation.ts';
import type { Proving } from '../proving.ts';
import { machineArguments } from '../qemu-command.ts';
import { runMachine } from '../run-machine.ts';
import { CONTROL_PLANE, initTests, WORKER } from './guest-tests.ts';
import { type BootWorker, InitProof } from './init-proof.ts';

/**
 * @param scratch private directory that exists
 * @param deadline on the clock of `performance.now()`
 */
export function provingByInit(
  image: string,
  options: BootTestOptions,
  { scratch, deadline }: { scratch: string; deadline: number | undefined },
): Proving {
  const { architecture = 'amd64', timeoutSeconds, progress, signal: cancel } = options;
  const { worker = { image, format: options.format } } = options;
  const token = newToken();
  const socket = join(scratch, 'cable');
  const step = (said: string) => progress?.step(said);
  const bootWorker =
    (accelerator: Accelerator): BootWorker =>
    async (report, proof, signal) => {
      const directory = join(scratch, `worker-${accelerator}`);
      await mkdir(directory);
      const machine = await describeMachine(worker.image, {
        ...options,
        format: worker.format,
        seed: await writeConfigDrive(directory, report.expected, WORKER),
        reports: true,
        cable: { socket, isFirst: false, mac: WORKER.mac },
      });
      const uefi = machine.uefi && { ...machine.uefi, variables: join(directory, 'variables.fd') };
      if (machine.uefi && uefi) await copyFile(machine.uefi.variables, uefi.variables);
      await runMachine(machineArguments({ ...machine, accelerator, ...(uefi && { uefi }) }), {
        architecture,
        expect: LOGIN_PROMPT,
        guestReport: report,
        trial: proof,
        onLine: (line) => progress?.output(line),
        watchForStall: false,
        scratch: directory,
        ...(deadline !== undefined && { deadline, timeoutSeconds }),
        signal: cancel ? AbortSignal.any([cancel, signal]) : signal,
      });
    };
  return {
    tests: initTests(token),
    machine: { cable: { socket, isFirst: true, mac: CONTROL_PLANE.mac } },
    identity: CONTROL_PLANE,
    begin: async () => {},
    proof: (report, accelerator) => new InitProof(report, token, bootWorker(accelerator), step),
    stop: async () => {},
  };
}
