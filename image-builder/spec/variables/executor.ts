// Where a build runs: what of spec.build.executor a schema cannot say. Pure.
import type { Finding } from '../../base/diagnostics/error.ts';
import type { BuildSpec } from '../api/types.ts';

const FIELD = 'spec.build.executor';
/** A root file system packed, its tree and a disk of the smallest image need this much (bytes). */
const LEAST_STORAGE = 2 * 1024 ** 3;

/** What is wrong with an executor. */
export function checkExecutor(executor: NonNullable<BuildSpec['executor']>): Finding[] {
  const names = Object.keys(executor);
  const findings: Finding[] = [];
  if (names.length > 1) {
    const message = `names ${names.join(' and ')}; a build runs in one of them: remove the others`;
    findings.push({ severity: 'error', field: FIELD, message });
  }
  const size = executor.kubernetes?.storage?.size;
  if (size !== undefined && bytesOf(size) < LEAST_STORAGE) {
    const message = `is ${size}, and a stage needs at least 2Gi`;
    findings.push({ severity: 'error', field: `${FIELD}.kubernetes.storage.size`, message });
  }
  if (size !== undefined && executor.kubernetes?.storage?.claim !== undefined) {
    const message =
      'is the size of a directory of the Pod, and claim names a volume that has its own: remove one';
    findings.push({ severity: 'error', field: `${FIELD}.kubernetes.storage.size`, message });
  }
  return findings;
}

const POWERS = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** The bytes of a quantity (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/). */
export function bytesOf(quantity: string): number {
  const [, number = '', unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(quantity) ?? [];
  if (unit === 'm') return Number(number) / 1000;
  const isBinary = unit.endsWith('i');
  const power = POWERS.indexOf((isBinary ? unit.slice(0, -1) : unit).replace('K', 'k'));
  return Number(number) * (isBinary ? 1024 : 1000) ** power;
}
