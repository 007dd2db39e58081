// `image-builder boot-test IMAGE`: boots a qcow2 image or an ISO in QEMU and waits for its login prompt.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { contextOf } from '../context.ts';

interface BootTestFlags {
  firmware?: 'bios' | 'uefi';
  timeout: number;
  architecture: 'amd64' | 'arm64';
  medium?: 'disk' | 'cdrom' | 'usb';
  secureBoot?: boolean;
  seed?: string;
  kubernetes?: 'preflight' | 'join' | 'init';
  worker?: string;
  controlPlane?: string;
  memory: number;
  logs?: string;
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('boot-test')
    .description('boot an image in QEMU without changing it; succeeds at the login prompt')
    .argument('<image>', 'qcow2 image or ISO')
    .addOption(
      new Option(
        '--firmware <firmware>',
        'firmware that starts the image (default: bios; uefi on arm64)',
      ).choices(['bios', 'uefi']),
    )
    .option('--timeout <seconds>', 'give up after this time; 0: never', wholeNumber, 300)
    .addOption(
      new Option('--medium <medium>', 'how an ISO is attached (default: cdrom)').choices([
        'disk',
        'cdrom',
        'usb',
      ]),
    )
    .addOption(
      new Option('--architecture <architecture>', 'architecture of the virtual machine')
        .choices(['amd64', 'arm64'])
        .default('amd64'),
    )
    .option('--secure-boot', 'enforce Secure Boot (with --firmware uefi)')
    .option('--seed <file>', 'image file with a cloud-init seed, attached as a second disk')
    .addOption(
      new Option(
        '--kubernetes <proof>',
        'let kubeadm inside of the image prove that it is a node. preflight: its checks, and a dry run of init. join: it joins a control plane on this machine and runs a Pod, also after a reboot. init: it sets up a cluster, and a second machine joins that in the same way',
      )
        .choices(['preflight', 'join', 'init'])
        .conflicts('seed'),
    )
    .option(
      '--control-plane <directories>',
      'where etcd, kube-apiserver, kube-controller-manager, kubeadm and kubectl are, as PATH names them (with --kubernetes join; default: IMAGE_BUILDER_CONTROL_PLANE, then PATH)',
    )
    .option(
      '--worker <image>',
      'image of the machine that joins (with --kubernetes init; default: the image itself)',
    )
    .option('--memory <MiB>', 'memory of the virtual machine', wholeNumber, 2048)
    .option(
      '--logs <directory>',
      'where the console and screen of an image that fails to boot are saved (default: a new temporary directory)',
    )
    .action(async (image: string, flags: BootTestFlags, command: Command) => {
      const { bootTest } = await import('../../stages/boot-test/boot-image.ts');
      const { progressOf } = await import('../../sandbox/stage-context.ts');
      const { detectImageFormat } = await import('../../stages/boot-test/image-format.ts');
      const { report, signal } = contextOf(command);
      const format = await detectImageFormat(image);
      const { architecture, timeout, memory, secureBoot = false, medium, seed } = flags;
      const { firmware = architecture === 'arm64' ? 'uefi' : 'bios' } = flags;
      const { evidenceIn } = await import('../boot-evidence.ts');
      const { warningsIn } = await import('../../stages/boot-test/kubernetes-tests.ts');
      const { controlPlanePath } = await import('../../sandbox/control-plane-programs.ts');
      const { kubernetes, controlPlane = process.env.IMAGE_BUILDER_CONTROL_PLANE } = flags;
      const worker = flags.worker && {
        image: flags.worker,
        format: await detectImageFormat(flags.worker),
      };
      const tested = await evidenceIn(flags.logs, (screenshot) =>
        bootTest(image, {
          architecture,
          format,
          firmware,
          timeoutSeconds: timeout,
          memoryMib: memory,
          secureBoot,
          screenshot,
          ...(medium ? { medium } : {}),
          ...(seed ? { seed } : {}),
          ...(kubernetes ? { kubernetes } : {}),
          ...(worker ? { worker } : {}),
          controlPlanePath: controlPlanePath({ ...process.env, IMAGE_BUILDER_CONTROL_PLANE: controlPlane }),
          progress: progressOf('boot-test', report),
          signal,
        }),
      );
      const { seconds, accelerator, unitFailures, guest, readySeconds } = tested;
      for (const said of unitFailures) process.stderr.write(`warning: ${said}\n`);
      for (const { name, seconds, output } of guest?.results ?? []) {
        for (const warning of warningsIn(output)) process.stderr.write(`warning: ${name}: ${warning}\n`);
        process.stdout.write(`${name}: met after ${seconds.toFixed(1)} s\n`);
      }
      const reached = guest ? 'all tests met' : 'login prompt';
      process.stdout.write(
        `${image} boots: ${reached} after ${seconds.toFixed(1)} s (${firmware}, ${accelerator})\n`,
      );
      if (readySeconds !== undefined)
        process.stdout.write(`Ready in a cluster after ${readySeconds.toFixed(1)} s\n`);
    });
}

function wholeNumber(text: string): number {
  if (!/^[0-9]{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}
