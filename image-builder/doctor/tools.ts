// Whether the tools that builds need are on this machine, by what they are needed for.
import { CONTROL_PLANE_ADVICE, missingControlPlanePrograms } from '../sandbox/control-plane-programs.ts';
import { findMissingTools, type Task } from '../sandbox/tools.ts';
import { type DoctorFinding, finding, ok } from './finding.ts';

const PURPOSES: readonly { what: string; tasks: readonly Task[]; severity: 'warning' | 'info' }[] = [
  { what: 'builds on this machine', tasks: ['sandbox', 'rootfs', 'osconfig'], severity: 'warning' },
  { what: 'QCOWs', tasks: ['qcow'], severity: 'warning' },
  { what: 'ISOs', tasks: ['iso'], severity: 'warning' },
  { what: 'data partitions with xfs', tasks: ['xfs'], severity: 'info' },
  { what: 'boot tests', tasks: ['boot-test-amd64'], severity: 'info' },
  { what: 'boot tests of arm64', tasks: ['boot-test-arm64'], severity: 'info' },
  { what: 'tests inside of booted images', tasks: ['config-drive'], severity: 'info' },
];

/**
 * The programs of a control plane that boot tests let a node join.
 * @param directories where they are looked for; default: what IMAGE_BUILDER_CONTROL_PLANE names, PATH and the sbin directories
 */
export function checkControlPlane(directories?: readonly string[]): DoctorFinding {
  const what = 'boot tests of nodes that join a cluster';
  const missing = missingControlPlanePrograms(directories);
  if (missing.length === 0) return ok(`the control plane for ${what} is there`);
  return finding(
    'info',
    'TOOL_MISSING',
    `${missing.join(', ')} for ${what} not found: ${CONTROL_PLANE_ADVICE}`,
  );
}

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
