// A cloud-init seed whose script reports from inside of a booted machine over its serial console.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const BEGIN = '----- report';
const END = '----- end of report';

/** The first serial port of machines of an architecture. */
const SERIAL_PORTS = { amd64: 'ttyS0', arm64: 'ttyAMA0' } as const;
type Architecture = keyof typeof SERIAL_PORTS;

/** What the console shows when the report is complete. */
export const REPORTED = new RegExp(`^${END}`, 'm');

/**
 * Writes an image that cloud-init takes for a seed of its data source NoCloud. `script` (of sh) runs as the last step of
 * cloud-init, or when systemd has started everything; its output is the report.
 */
export async function writeSeed(
  directory: string,
  script: string,
  when: 'cloud-init' | 'started' = 'cloud-init',
  architecture: Architecture = 'amd64',
): Promise<string> {
  const report = reportScript(script, architecture);
  const content = join(directory, 'seed');
  const image = join(directory, 'seed.img');
  await mkdir(content, { recursive: true });
  await writeFile(join(content, 'meta-data'), '{"instance-id": "test", "local-hostname": "seeded"}\n');
  // No network to wait for, or one that answers.
  const ethernets = when === 'started' ? { all: { match: { name: 'en*' }, dhcp4: true } } : {};
  await writeFile(join(content, 'network-config'), JSON.stringify({ version: 2, ethernets }));
  await writeFile(
    join(content, 'user-data'),
    `#cloud-config\n${JSON.stringify(when === 'started' ? afterStart(report) : { runcmd: [report] })}\n`,
  );
  await promisify(execFile)('xorriso', [
    ...['-as', 'mkisofs', '-quiet', '-V', 'cidata', '-r', '-J', '-o', image, content],
  ]);
  return image;
}

/** cloud-init is itself a part of what is being started, so another unit waits. */
const afterStart = (report: string) => ({
  write_files: [{ path: '/run/report.sh', content: `systemctl is-system-running --wait\n${report}\n` }],
  runcmd: ['systemd-run --quiet --no-block sh /run/report.sh'],
});

/**
 * A command that prints the output of `script` on the first serial port, between markers. All at once, and again: a
 * getty that starts meanwhile hangs up on whoever has the port open.
 */
export function reportScript(script: string, architecture: Architecture = 'amd64'): string {
  return `report=$( { ${script}\n} 2>&1 )
for attempt in 1 2 3; do printf '\\n%s\\n%s\\n%s\\n' '${BEGIN}' "$report" '${END}' > /dev/${SERIAL_PORTS[architecture]}; sleep 3; done`;
}

/** The report on a console; kernel messages that came in between are left out. */
export function readReport(console: string): string[] {
  const lines = console.split('\n').map((line) => line.trim());
  return lines
    .slice(lines.lastIndexOf(BEGIN) + 1, lines.lastIndexOf(END))
    .filter((line) => !line.startsWith('['));
}
