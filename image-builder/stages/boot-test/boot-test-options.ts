// What is wanted of a boot test.
import type { StageContext } from '../../sandbox/stage-context.ts';
import type { ImageTest, KubernetesProof } from '../../spec/variables/resolved-tests.ts';
import type { KvmMemory } from './accelerator.ts';
import type { Architecture } from './emulator.ts';

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
  /**
   * What kubeadm inside of the image has to prove; handed in by a config drive in the place of a seed. `init`: it sets up a
   * cluster, which a second machine joins.
   */
  kubernetes?: KubernetesProof | 'init';
  /** Of the second machine; default: the image itself. */
  worker?: { image: string; format: 'qcow2' | 'iso' };
  /** Where the programs of the control plane are looked for that a node joins; default: controlPlanePath of this process. */
  controlPlanePath?: readonly string[];
  /** What else must hold in the booted image; what they say of the same thing counts. */
  tests?: readonly ImageTest[];
  /** File for the screen of a machine that fails, as PNG. */
  screenshot?: string;
  progress?: Pick<StageContext, 'step' | 'output'>;
  signal?: AbortSignal;
  kvm?: KvmMemory;
}
