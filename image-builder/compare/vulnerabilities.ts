// Which known vulnerabilities one of two bundles has, and the other does not. Pure.
import type { Severity, Vulnerability } from '../scan/vulnerability.ts';

/** A vulnerability that came or went. */
export interface VulnerabilityChange {
  id: string;
  source: string;
  severity: Severity;
  change: 'added' | 'removed';
  /** Version of the source package that has it. */
  installed: string;
}

type Found = readonly Vulnerability[];

/** In the order of the reports: the most urgent first. */
export function compareVulnerabilities(a: Found, b: Found): VulnerabilityChange[] {
  const keyOf = ({ id, source }: Vulnerability) => JSON.stringify([id, source]);
  const onlyIn = (one: Found, other: Found, change: VulnerabilityChange['change']) => {
    const known = new Set(other.map(keyOf));
    return one
      .filter((found) => !known.has(keyOf(found)))
      .map(({ id, source, severity, installed }) => ({ id, source, severity, change, installed }));
  };
  return [...onlyIn(b, a, 'added'), ...onlyIn(a, b, 'removed')];
}
