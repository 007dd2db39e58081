// The command line of the virtual machine that a boot test uses.
import type { Accelerator } from './accelerator.ts';
import type { Architecture } from './emulator.ts';
import type { UefiFirmware } from './firmware.ts';
import { REPORT_PORT } from './guest-tests.ts';

/** The descriptor of the process of QEMU that its monitor is connected to. */
export const MONITOR_DESCRIPTOR = 3;
/** The descriptor that its report port is connected to. */
export const REPORT_DESCRIPTOR = 4;

/** A virtual machine with a serial console on standard input and output, and a monitor. */
export interface Machine {
  architecture: Architecture;
  image: string;
  /** Format of the image file. */
  format: 'qcow2' | 'raw';
  medium: 'disk' | 'cdrom' | 'usb';
  accelerator: Accelerator;
  /** Absent: BIOS (SeaBIOS). `variables` is a copy that the machine may change. */
  uefi?: UefiFirmware & { secureBoot: boolean };
  memoryMib: number;
  /** A second disk, read-only: a cloud-init seed. */
  seed?: string;
  /** Whether it has a port for the report of tests inside of it. */
  reports?: boolean;
  /** Options of QEMU's user network: the ways through it. Absent: none. */
  network?: readonly string[];
  /** A cable to another machine in the place of that network. */
  cable?: Cable;
}

/** One end of a cable between two machines (`-netdev stream`, QEMU 7.2 and newer). */
export interface Cable {
  /** A socket that the machine which is started first listens on. */
  socket: string;
  isFirst: boolean;
  /** Hardware address of the machine's network card. */
  mac: string;
}

/** Arguments of QEMU for the machine's architecture. */
export function machineArguments(machine: Machine): string[] {
  const { uefi, accelerator } = machine;
  const secureBoot = uefi?.secureBoot ?? false;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...(machine.architecture === 'arm64' ? ARM64_BOARD : pcBoard(secureBoot)),
    // Emulating two CPUs is a third faster and now and then loses a timer interrupt: one that stays is better.
    ...['-accel', accelerator, '-smp', accelerator === 'kvm' ? '2' : '1'],
    ...['-m', `${machine.memoryMib}`],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=monitor,fd=${MONITOR_DESCRIPTOR}`, '-mon', 'chardev=monitor,mode=control'],
    ...['-smbios', `type=11,value=${consoleCredential(machine.architecture)}`],
    ...['-device', 'virtio-rng-pci'],
    ...networkArguments(machine),
    ...['-device', 'virtio-scsi-pci,id=scsi'],
    ...(machine.reports ? REPORT_PORT_ARGUMENTS : []),
    ...firmwareArguments(uefi),
    ...bootDriveArguments(machine),
    ...(machine.seed
      ? [
          ...['-drive', drive(machine.seed, 'raw', 'seed', ['readonly=on'])],
          ...['-device', 'virtio-blk-pci,drive=seed'],
        ]
      : []),
  ];
}

function networkArguments({ network = [], cable }: Machine): string[] {
  // A network with DHCP and nothing behind it: what waits for a network gets one, and nothing is downloaded.
  if (!cable)
    return ['-nic', ['user,model=virtio-net-pci,restrict=on', ...network.map(escapeComma)].join(',')];
  const { socket, isFirst, mac } = cable;
  const end = `server=${isFirst ? 'on' : 'off'},addr.type=unix,addr.path=${escapeComma(socket)}`;
  return [...['-netdev', `stream,id=cable,${end}`], ...['-device', `virtio-net-pci,netdev=cable,mac=${mac}`]];
}

// A port of virtio: on every architecture, and without a terminal that changes what goes through.
const REPORT_PORT_ARGUMENTS = [
  ...['-chardev', `socket,id=report,fd=${REPORT_DESCRIPTOR}`, '-device', 'virtio-serial-pci'],
  ...['-device', `virtserialport,chardev=report,name=${REPORT_PORT}`],
];

// Firmware that enforces Secure Boot keeps its variables in system management mode. Without graphics SeaBIOS too talks
// to the serial port.
const pcBoard = (secureBoot: boolean) => [
  ...['-machine', `q35,graphics=off${secureBoot ? ',smm=on' : ''}`, '-device', 'VGA'],
  ...(secureBoot ? ['-global', 'driver=cfi.pflash01,property=secure,value=on'] : []),
];

/** A server as Arm's SBSA describes it; its firmware names the serial port to the kernel (ACPI, table SPCR). */
const ARM64_BOARD = ['-machine', 'virt', '-cpu', 'cortex-a72'];

/**
 * Tells systemd in the guest to take the serial port for /dev/console, where it tells which units fail and why it goes into
 * emergency mode. The last `console=` of a kernel command line is that otherwise, and often a screen that nobody sees.
 * systemd 252 and newer have credentials of the firmware, and make nodes as tmpfiles.d(5) says before they mount anything:
 * https://systemd.io/CREDENTIALS/. The image stays as it is.
 */
function consoleCredential(architecture: Architecture): string {
  const port = architecture === 'amd64' ? 'ttyS0' : 'ttyAMA0';
  const line = Buffer.from(`L+ /dev/console - - - - ${port}\n`).toString('base64');
  return `io.systemd.credential.binary:tmpfiles.extra=${line}`;
}

function firmwareArguments(uefi: Machine['uefi']): string[] {
  if (!uefi) return [];
  const flash = (unit: number, file: string, more: string) =>
    `if=pflash,unit=${unit},format=raw,file=${escapeComma(file)}${more}`;
  return ['-drive', flash(0, uefi.code, ',readonly=on'), '-drive', flash(1, uefi.variables, '')];
}

/** The image is only read: what the guest writes goes to an overlay that QEMU removes as soon as it is open. */
function bootDriveArguments({ image, format, medium }: Machine): string[] {
  if (medium === 'cdrom')
    return [
      ...['-drive', drive(image, format, 'boot', ['media=cdrom', 'readonly=on'])],
      ...['-device', 'scsi-cd,bus=scsi.0,drive=boot,bootindex=1'],
    ];
  return [
    ...['-drive', drive(image, format, 'boot', ['snapshot=on', 'cache=unsafe'])],
    ...(medium === 'usb'
      ? ['-device', 'qemu-xhci', '-device', 'usb-storage,drive=boot,bootindex=1']
      : ['-device', 'virtio-blk-pci,drive=boot,bootindex=1']),
  ];
}

function drive(file: string, format: string, id: string, more: readonly string[]): string {
  return ['if=none', `id=${id}`, `format=${format}`, `file=${escapeComma(file)}`, ...more].join(',');
}

/** In an option value a comma is written twice. */
function escapeComma(text: string): string {
  return text.replaceAll(',', ',,');
}
