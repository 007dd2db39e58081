// Whether the tools that builds need are on this machine, by what they are needed for.
import { findMissingTools, type Task } from '../sandbox/tools.ts';
import { type DoctorFinding, finding, ok } from './finding.ts';

const PURPOSES: readonly { what: string; tasks: readonly Task[]; severity: 'warning' | 'info' }[] = [
  { what: 'builds on this machine', tasks: ['sandbox', 'rootfs', 'osconfig'], severity: 'warning' },
  { what: 'QCOWs', tasks: ['qcow'], severity: 'warning' },
  { what: 'ISOs', tasks: ['iso'], severity: 'warning' },
  { what: 'data partitions with xfs', tasks: ['xfs'], severity: 'info' },
  { what: 'boot tests', tasks: ['boot-test-amd64'], severity: 'info' },
  { what: 'boot tests of arm64', tasks: ['boot-test-arm64'], severity: 'info' },
];

/** @param directories where tools are looked for; default: PATH and the sbin directories */
export function checkTools(directories?: readonly string[]): DoctorFinding[] {
  return PURPOSES.map(({ what, tasks, severity }) => {
    const missing = findMissingTools(tasks, directories);
    if (missing.length === 0) return ok(`the tools for ${what} are installed`);
    const names = missing.map(({ tool }) => tool).join(', ');
    const packages = [...new Set(missing.map((one) => one.package))].sort().join(' ');
    const advice = `apt-get install --no-install-recommends ${packages}`;
    return finding(severity, 'TOOL_MISSING', `${names} for ${what} not found: ${advice}`);
  });
}
