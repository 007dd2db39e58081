// Boots an image in a throw-away virtual machine and watches its serial console.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { distinct } from '../../spec/variables/image-tests.ts';
import type { ImageTest } from '../../spec/variables/resolved-tests.ts';
import { type Accelerator, KvmMemory, lacksSystemManagement } from './accelerator.ts';
import { BootError } from './boot-error.ts';
import type { BootTestOptions } from './boot-test-options.ts';
import { writeConfigDrive } from './config-drive.ts';
import { LOGIN_PROMPT } from './console.ts';
import { describeMachine } from './describe-machine.ts';
import { emulatesReliably, isNative } from './emulator.ts';
import { type GuestFindings, GuestReport } from './guest-tests.ts';
import { provingByInit } from './init/proving.ts';
import { provingByJoin } from './join/proving.ts';
import { kubernetesTests } from './kubernetes-tests.ts';
import type { Proving } from './proving.ts';
import { machineArguments } from './qemu-command.ts';
import { runMachine } from './run-machine.ts';
import { judge } from './verdict.ts';

export interface BootTestResult {
  /** Wall time from power-on to what was expected. */
  seconds: number;
  accelerator: Accelerator;
  /** The text of the console. */
  console: string;
  /** What systemd has said of units that failed, which does not keep a machine from its login prompt. */
  unitFailures: string[];
  /** What the tests have found; absent without any. */
  guest?: GuestFindings;
  /** Wall time from power-on until the node was Ready in a cluster. */
  readySeconds?: number;
}

/** How often the kernel must crash before that is believed of an unreliable emulator. */
const MAXIMUM_CRASHES = 3;
const processKvm = new KvmMemory();

/**
 * Boots `image` and resolves when its console shows what is expected, and all tests have ended. The image is not changed.
 * @throws BootError TESTS_FAILED when it boots and a test inside of it is not met; at once when the kernel panics, or the
 *   boot loader, the initramfs or systemd gives up, with the last lines of the console, the units that failed and the screen.
 */
export async function bootTest(image: string, options: BootTestOptions): Promise<BootTestResult> {
  const { architecture = 'amd64', kvm = processKvm, progress, timeoutSeconds } = options;
  const scratch = await mkdtemp(join(tmpdir(), 'image-builder-boot-'));
  const deadline = timeoutSeconds > 0 ? performance.now() + timeoutSeconds * 1000 : undefined;
  let proving: Proving | undefined;
  try {
    if (options.kubernetes === 'join') proving = await provingByJoin(options);
    if (options.kubernetes === 'init') proving = provingByInit(image, options, { scratch, deadline });
    const tests = testsOf(options, proving);
    const seed = tests ? await writeConfigDrive(scratch, tests, proving?.identity) : options.seed;
    const machine = await describeMachine(image, {
      ...options,
      ...(seed && { seed }),
      ...(tests && { reports: true }),
      ...proving?.machine,
    });
    const reliable = await emulatesReliably(architecture);
    const verdict = isNative(architecture) ? await kvm.verdict() : 'absent';
    if (verdict === 'works' || verdict === 'unknown') {
      try {
        const result = await attempt('kvm', verdict === 'unknown');
        if (result) {
          await kvm.remember('works');
          return result;
        }
        await kvm.remember('stalls');
        progress?.step('the KVM guest makes no progress; emulate instead');
      } catch (error) {
        // Says nothing about KVM for machines without Secure Boot.
        if (!(error instanceof BootError) || !lacksSystemManagement(error.output)) throw error;
        progress?.step('KVM has no system management mode, which Secure Boot needs; emulate instead');
      }
    }
    // Where the emulator is to blame, a crash says nothing about the image until it happens again and again.
    for (let crashes = 1; ; crashes++) {
      try {
        return (await attempt('tcg', false)) as BootTestResult;
      } catch (error) {
        if (reliable || crashes === MAXIMUM_CRASHES || (error as BootError).code !== 'KERNEL_CRASHED')
          throw error;
        const message = `the kernel crashed, as happens at random under emulation by this old QEMU; boot again`;
        progress?.step(message);
      }
    }

    /** Undefined: nothing happened for a while, where that was asked for. */
    async function attempt(
      accelerator: Accelerator,
      watchForStall: boolean,
    ): Promise<BootTestResult | undefined> {
      progress?.step(`boot under ${options.firmware} with ${accelerator}`);
      const uefi = machine.uefi && {
        ...machine.uefi,
        variables: join(scratch, `variables-${accelerator}.fd`),
      };
      if (machine.uefi && uefi) await copyFile(machine.uefi.variables, uefi.variables);
      await proving?.begin();
      const started = performance.now();
      const guestReport = tests && new GuestReport(tests);
      const proof = guestReport && proving?.proof(guestReport, accelerator);
      const console = await runMachine(
        machineArguments({
          ...machine,
          accelerator,
          ...(uefi ? { uefi } : {}),
        }),
        {
          architecture,
          expect: options.expect ?? LOGIN_PROMPT,
          ...(guestReport && { guestReport }),
          ...(proof && { trial: proof }),
          onLine: (line) => progress?.output(line),
          watchForStall,
          scratch,
          ...(options.screenshot === undefined ? {} : { screenshot: options.screenshot }),
          ...(deadline === undefined ? {} : { deadline, timeoutSeconds }),
          ...(options.signal ? { signal: options.signal } : {}),
        },
      );
      if (console === undefined) return undefined;
      const { text, unitFailures } = console;
      const guest = guestReport && judge(guestReport, text, proof);
      return {
        seconds: (performance.now() - started) / 1000,
        accelerator,
        console: text,
        unitFailures,
        ...(guest && { guest }),
        ...(proof?.readyAt !== undefined && { readySeconds: (proof.readyAt - started) / 1000 }),
      };
    }
  } finally {
    await proving?.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Undefined: none. Whatever else is tested, is so before the node is in a cluster. */
function testsOf(
  { kubernetes, tests = [] }: BootTestOptions,
  proving: Proving | undefined,
): ImageTest[] | undefined {
  if (!kubernetes && tests.length === 0) return undefined;
  return distinct([...(kubernetes ? kubernetesTests(kubernetes) : []), ...tests, ...(proving?.tests ?? [])]);
}
