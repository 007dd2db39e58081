// Boots an image in a throw-away virtual machine and watches its serial console.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { controlPlanePath, controlPlanePrograms } from '../../sandbox/control-plane-programs.ts';
import type { StageContext } from '../../sandbox/stage-context.ts';
import { requireTools } from '../../sandbox/tools.ts';
import { distinct } from '../../spec/variables/image-tests.ts';
import type { ImageTest, KubernetesProof } from '../../spec/variables/resolved-tests.ts';
import { type Accelerator, KvmMemory, lacksSystemManagement } from './accelerator.ts';
import { BootError } from './boot-error.ts';
import { NODE_NAME, writeConfigDrive } from './config-drive.ts';
import { LOGIN_PROMPT } from './console.ts';
import { type Architecture, emulatesReliably, isNative } from './emulator.ts';
import { findUefiFirmware } from './firmware.ts';
import { type GuestFindings, GuestReport } from './guest-tests.ts';
import { ControlPlane } from './join/control-plane.ts';
import { joinTests } from './join/guest-tests.ts';
import { NodeProof } from './join/node-proof.ts';
import { kubernetesTests } from './kubernetes-tests.ts';
import { type Machine, machineArguments } from './qemu-command.ts';
import { runMachine } from './run-machine.ts';
import { judge } from './verdict.ts';

export interface BootTestOptions {
  /** Default: amd64. */
  architecture?: Architecture;
  format: 'qcow2' | 'iso';
  firmware: 'bios' | 'uefi';
  /** 0: as long as it takes. */
  timeoutSeconds: number;
  /** What the console must show; default: a login prompt. Text is matched without terminal control sequences. */
  expect?: RegExp;
  /** How an ISO is attached; default: `cdrom`. */
  medium?: 'disk' | 'cdrom' | 'usb';
  /** UEFI with Secure Boot enforced. */
  secureBoot?: boolean;
  /** Default: 2048. */
  memoryMib?: number;
  /** Image file with a cloud-init seed, attached as a second, read-only disk. */
  seed?: string;
  /** What kubeadm inside of the image has to prove; handed in by a config drive in the place of a seed. */
  kubernetes?: KubernetesProof;
  /** Where the programs of the control plane are looked for that a node joins; default: {@link controlPlanePath} of this process. */
  controlPlanePath?: readonly string[];
  /** What else must hold in the booted image; what they say of the same thing counts. */
  tests?: readonly ImageTest[];
  /** File for the screen of a machine that fails, as PNG. */
  screenshot?: string;
  progress?: Pick<StageContext, 'step' | 'output'>;
  signal?: AbortSignal;
  kvm?: KvmMemory;
}

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
  let cluster: ControlPlane | undefined;
  try {
    if (options.kubernetes === 'join') cluster = await startControlPlane(options);
    const tests = testsOf(options, cluster);
    const seed = tests ? await writeConfigDrive(scratch, tests) : options.seed;
    const machine = await describeMachine(resolve(image), {
      ...options,
      ...(seed && { seed }),
      ...(tests && { reports: true }),
      ...(cluster && { network: cluster.networkOptions }),
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
      await cluster?.forgetNode(NODE_NAME);
      const started = performance.now();
      const guestReport = tests && new GuestReport(tests);
      const proof = cluster && new NodeProof(cluster, NODE_NAME, (said) => progress?.step(said));
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
    await cluster?.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function startControlPlane(options: BootTestOptions): Promise<ControlPlane> {
  const { controlPlanePath: path = controlPlanePath(process.env), progress, signal } = options;
  requireTools(['control-plane'], path);
  return ControlPlane.start(controlPlanePrograms(path), (said) => progress?.step(said), signal);
}

/** Undefined: none. Whatever else is tested, is so before the node joins. */
function testsOf(
  { kubernetes, tests = [] }: BootTestOptions,
  cluster: ControlPlane | undefined,
): ImageTest[] | undefined {
  if (!kubernetes && tests.length === 0) return undefined;
  return distinct([
    ...(kubernetes ? kubernetesTests(kubernetes) : []),
    ...tests,
    ...(cluster ? joinTests(cluster.invitation, NODE_NAME) : []),
  ]);
}

async function describeMachine(
  image: string,
  options: BootTestOptions & Pick<Machine, 'reports' | 'network'>,
): Promise<Omit<Machine, 'accelerator'>> {
  const { architecture = 'amd64', format, firmware, secureBoot = false, memoryMib = 2048, seed } = options;
  if (secureBoot && firmware === 'bios')
    throw new BootError('FIRMWARE_MISSING', 'Secure Boot is a feature of UEFI, not of BIOS');
  if (architecture === 'arm64' && (firmware === 'bios' || secureBoot))
    throw new BootError(
      'FIRMWARE_MISSING',
      `virtual arm64 machines have no ${firmware === 'bios' ? 'BIOS' : 'Secure Boot'}`,
    );
  const uefi =
    firmware === 'uefi' ? { ...(await findUefiFirmware(architecture, secureBoot)), secureBoot } : undefined;
  return {
    architecture,
    image,
    format: format === 'iso' ? 'raw' : 'qcow2',
    medium: format === 'iso' ? (options.medium ?? 'cdrom') : 'disk',
    memoryMib,
    ...(uefi ? { uefi } : {}),
    ...(seed ? { seed: resolve(seed) } : {}),
    ...(options.reports ? { reports: true } : {}),
    ...(options.network ? { network: options.network } : {}),
  };
}
