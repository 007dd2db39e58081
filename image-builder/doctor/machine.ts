// Whether this machine can do what Image Builder needs of it: kustomize, a container engine, user namespaces, KVM.
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DoctorFinding, finding, ok } from './finding.ts';
import { checkKustomizeVersion } from './kustomization.ts';

/** How a command ended; `missing` when there is no such executable. */
export interface ProbeResult {
  status: number | 'missing' | 'timeout';
  stdout: string;
  stderr: string;
  /** Wall time. */
  seconds: number;
}

/** Runs a command for at most so many seconds. */
export type Probe = (argv: readonly string[], timeoutSeconds: number) => Promise<ProbeResult>;

/** Who asks, and on what. */
export interface MachineFacts {
  /** undefined where there are no user ids. */
  uid: number | undefined;
  userName: string;
  probe: Probe;
}

/** The version of kustomize, without `v`; undefined when there is none, empty when it does not tell. */
export async function kustomizeVersion(probe: Probe): Promise<string | undefined> {
  const result = await probe(['kustomize', 'version'], 10);
  if (result.status !== 0) return undefined;
  return /v?(\d+\.\d+\.\d+)/.exec(result.stdout)?.[1] ?? '';
}

/** kustomize on PATH. */
export function checkKustomize(version: string | undefined): DoctorFinding[] {
  if (version === undefined)
    return [
      finding('warning', 'KUSTOMIZE_MISSING', 'kustomize is not on PATH; 4.5 or newer renders the examples'),
    ];
  if (version === '')
    return [
      finding(
        'info',
        'KUSTOMIZE_VERSION_UNKNOWN',
        'kustomize does not report its version, because it was built from source; 4.5 or newer is needed',
      ),
    ];
  return [checkKustomizeVersion(version)];
}

/** The engines that run container functions and the container executor. */
export async function checkEngines(probe: Probe): Promise<DoctorFinding[]> {
  const findings: DoctorFinding[] = [];
  let usable = 0;
  for (const engine of ['docker', 'podman', 'nerdctl']) {
    const result = await probe([engine, 'info', '--format', '{{json .}}'], 20);
    if (result.status === 'missing') continue;
    if (result.status === 0 && !/"ServerErrors":\["/.test(result.stdout)) {
      usable++;
      findings.push(ok(`${engine} answers`));
      continue;
    }
    const said = `${result.stderr}${result.stdout.match(/"ServerErrors":\["([^"]*)/)?.[1] ?? ''}`;
    findings.push(
      finding(
        'warning',
        'ENGINE_REFUSES',
        `${engine} is installed but does not answer: ${firstLine(said)}${engineHint(said)}`,
      ),
    );
  }
  if (findings.length === 0)
    findings.push(
      finding(
        'warning',
        'ENGINE_MISSING',
        'there is no container engine: container functions and the container executor need docker, podman or nerdctl',
      ),
    );
  else if (usable > 0 && !findings.some(({ message }) => message === 'docker answers')) {
    findings.push(
      finding(
        'warning',
        'DOCKER_COMMAND_MISSING',
        'kustomize starts container functions with `docker` only; podman-docker provides that command',
      ),
    );
  }
  return findings;
}

function engineHint(said: string): string {
  if (/permission denied/i.test(said)) return ' (add the user to the group docker, or use rootless mode)';
  if (/cannot connect|no such file|refused/i.test(said))
    return ' (is the daemon running, and DOCKER_HOST correct?)';
  return '';
}

/** What a build by an ordinary user needs: subordinate ids and the tools that use them. */
export async function checkUserNamespaces({ uid, userName, probe }: MachineFacts): Promise<DoctorFinding[]> {
  if (uid === undefined || uid === 0) return [ok('builds run as root')];
  const findings: DoctorFinding[] = [];
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (!hasSubordinateRange(text, userName, uid)) {
      findings.push(
        finding(
          'error',
          'SUBORDINATE_IDS_MISSING',
          `${userName} has no range of 65536 ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${userName}`,
          { file },
        ),
      );
    }
  }
  if (findings.length > 0) return findings;
  const trial = await probe(['unshare', '--user', '--map-root-user', '--map-auto', '--mount', 'true'], 10);
  if (trial.status === 0) return [ok('user namespaces work')];
  if (trial.status === 'missing')
    return [finding('error', 'TOOL_MISSING', 'unshare is missing (Debian package util-linux)')];
  return [
    finding(
      'error',
      'USER_NAMESPACES_REFUSED',
      `user namespaces do not work: ${firstLine(trial.stderr)} (install uidmap; sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)`,
    ),
  ];
}

/** Whether subuid(5) gives the user at least 65536 ids. */
export function hasSubordinateRange(text: string, userName: string, uid: number): boolean {
  return text.split('\n').some((line) => {
    const [owner, , count] = line.trim().split(':');
    return (owner === userName || owner === String(uid)) && Number(count) >= 65536;
  });
}

/** mov dx, 0xf4; mov al, 16; out dx, al; jmp $ - as a boot sector, ends a guest with the exit status 33. */
const BOOT_SECTOR = Buffer.concat([
  Buffer.from('baf400b010eeebfe', 'hex'),
  Buffer.alloc(502),
  Buffer.from('55aa', 'hex'),
]);

/** Whether KVM is there, usable, and faster than emulation: the smallest guest is booted with both. */
export async function checkKvm({ probe }: MachineFacts): Promise<DoctorFinding[]> {
  const tcg = 'boot tests use emulation (TCG), which is slow';
  if (
    !(await access('/dev/kvm').then(
      () => true,
      () => false,
    ))
  )
    return [finding('info', 'KVM_MISSING', `there is no /dev/kvm: ${tcg}`)];
  if (
    !(await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
      () => true,
      () => false,
    ))
  ) {
    return [
      finding('warning', 'KVM_DENIED', `/dev/kvm is not accessible: ${tcg}; add the user to the group kvm`),
    ];
  }
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-doctor-'));
  try {
    const disk = join(directory, 'boot.img');
    await writeFile(disk, BOOT_SECTOR);
    const boot = (accelerator: string) =>
      probe(
        [
          ...[
            'qemu-system-x86_64',
            '-accel',
            accelerator,
            '-m',
            '64',
            '-display',
            'none',
            '-nodefaults',
            '-no-reboot',
          ],
          ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-drive', `file=${disk},format=raw,if=ide`],
        ],
        15,
      );
    const emulated = await boot('tcg');
    // The check of the tools says so.
    if (emulated.status === 'missing') return [];
    const virtual = await boot('kvm');
    if (virtual.status !== 33) {
      return [
        finding(
          'warning',
          'KVM_BROKEN',
          `KVM does not work here (${firstLine(virtual.stderr) || `guest ended with ${virtual.status}`}): ${tcg}`,
        ),
      ];
    }
    if (emulated.status === 33 && virtual.seconds > 2 * emulated.seconds && virtual.seconds > 1) {
      return [
        finding(
          'warning',
          'KVM_SLOW',
          `KVM is slower than emulation here (${virtual.seconds.toFixed(1)} s against ${emulated.seconds.toFixed(1)} s), as in a nested virtual machine: ${tcg}`,
        ),
      ];
    }
    return [ok('KVM works')];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function firstLine(text: string): string {
  return (
    text
      .split('\n')
      .find((line) => line.trim() !== '')
      ?.trim() ?? ''
  );
}
