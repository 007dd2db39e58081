// What a booted machine is handed: the config drive, and the program that runs its tests and obeys afterwards, here without a machine.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeConfigDrive } from '../../../../image-builder/stages/boot-test/config-drive.ts';
import { executable, run } from '../../support/executables.ts';

const directory = mkdtempSync(join(tmpdir(), 'guest-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const PROGRAM = join(__dirname, '../../../../image-builder/stages/boot-test/guest/run_tests.py');

// The port is a terminal that changes nothing of what goes through.
const HARNESS = `
import json, os, pty, subprocess, sys, tty
program, tests, *words = sys.argv[1:]
master, slave = pty.openpty()
tty.setraw(slave)
child = subprocess.Popen([sys.executable, "-I", program, tests, os.ttyname(slave)])
report = os.fdopen(os.dup(master), "rb")
for line in report:
    sys.stdout.buffer.write(line)
    if json.loads(line)["event"] == "complete":
        break
for word in words:
    os.write(master, word.encode() + b"\\n")
    if word != "reboot":
        sys.stdout.buffer.write(report.readline())
sys.exit(child.wait(20))
`;

test('the program runs its tests, those that it gets afterwards, and restarts the machine', () => {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  const asked = join(directory, 'asked');
  writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\necho "$*" >>${asked}\n`);
  chmodSync(join(bin, 'systemctl'), 0o755);
  const tests = join(directory, 'tests.json');
  writeFileSync(tests, JSON.stringify([{ name: 'one', script: 'echo said', timeoutSeconds: 5 }]));
  const more = [
    { name: 'two', script: 'echo "$0"; exit 3', timeoutSeconds: 5 },
    { name: 'three', script: 'sleep 60', timeoutSeconds: 0.5 },
  ];
  const printed = execFileSync(
    'python3',
    ['-c', HARNESS, PROGRAM, tests, ...more.map((one) => JSON.stringify(one)), 'reboot'],
    { encoding: 'utf8', env: { PATH: `${bin}:${process.env.PATH}` }, timeout: 60_000 },
  );
  const events = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events).toMatchObject([
    { event: 'started' },
    { event: 'begin', name: 'one' },
    { event: 'end', name: 'one', status: 0, output: 'said\n' },
    { event: 'complete' },
    { event: 'end', name: 'two', status: 3, output: '/bin/sh\n' },
    { event: 'end', name: 'three', status: null },
  ]);
  expect(readFileSync(asked, 'utf8').trim().split('\n').at(-1)).toBe('reboot');
});

test('a machine that is not the only one is told its name and address', async () => {
  const drive = async (name: string, ...identity: Parameters<typeof writeConfigDrive>[2][]) => {
    const scratch = join(directory, name);
    mkdirSync(scratch);
    const image = await writeConfigDrive(scratch, [], ...identity);
    const out = join(scratch, 'out');
    const quiet = { stdio: 'ignore' } as const;
    execFileSync('xorriso', ['-osirrox', 'on', '-indev', image, '-extract', '/', out], quiet);
    return (file: string) => JSON.parse(readFileSync(join(out, 'openstack/latest', file), 'utf8'));
  };
  const only = await drive('only');
  expect(only('meta_data.json')).toMatchObject({ hostname: 'node-under-test' });
  expect(() => only('network_data.json')).toThrow('ENOENT');
  const first = await drive('first', { name: 'one', mac: '52:54:00:12:34:60', address: '192.0.2.1' });
  expect(first('meta_data.json')).toMatchObject({ hostname: 'one' });
  expect(first('network_data.json')).toMatchObject({
    links: [{ ethernet_mac_address: '52:54:00:12:34:60' }],
    networks: [{ type: 'ipv4', ip_address: '192.0.2.1', netmask: '255.255.255.0' }],
  });
});

test('the image of the second machine is looked at before the first one is started', () => {
  const image = join(directory, 'image.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '1M']);
  const worker = join(directory, 'tests.json');
  const { status, stderr } = run([
    ...([executable('image-builder'), 'boot-test', image] as const),
    ...['--kubernetes', 'init', '--worker', worker, '--timeout', '5'],
  ]);
  expect(status).toBe(1);
  expect(stderr).toContain(`${worker} is neither a qcow2 image nor an ISO [IMAGE_UNREADABLE]`);
});
