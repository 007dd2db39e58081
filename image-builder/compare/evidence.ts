// What differs in what is said of two bundles: who has signed what, and how they have booted. Pure.
import type { BootRun, SubjectEvidence } from './subject-evidence.ts';

/** A statement that only one of the bundles has. */
export interface StatementChange {
  /** `signature`, `provenance`, `sbom`, `bootTest`, a predicate type, or an artifact type. */
  kind: string;
  /** Hex SHA-256 of the key that it names; nobody has checked that. */
  key?: string;
  change: 'added' | 'removed';
}

/** A boot test of a disk, in both bundles or one of them. */
export interface BootChange {
  /** `control-plane/uefi` */
  test: string;
  before?: BootRun;
  after?: BootRun;
}

/** What differs in what is said of them. */
export interface EvidenceChanges {
  statements: StatementChange[];
  /** Every boot test that both bundles or one of them have: times are never the same. */
  boots: BootChange[];
}

/** Compares the statements about two bundles by kind and key, and their boot tests by disk and firmware. */
export function compareEvidence(a: SubjectEvidence, b: SubjectEvidence): EvidenceChanges {
  const identityOf = ({ kind, key = '' }: SubjectEvidence['statements'][number]) =>
    JSON.stringify([kind, key]);
  const onlyIn = (one: SubjectEvidence, other: SubjectEvidence, change: StatementChange['change']) => {
    const known = new Set(other.statements.map(identityOf));
    const unique = new Map(one.statements.map((statement) => [identityOf(statement), statement]));
    return [...unique].flatMap(([identity, statement]) =>
      known.has(identity) ? [] : [{ ...statement, change }],
    );
  };
  const tests = [...new Set([...Object.keys(a.boots), ...Object.keys(b.boots)])].sort();
  return {
    statements: [...onlyIn(a, b, 'removed'), ...onlyIn(b, a, 'added')],
    boots: tests.map((test) => {
      const [before, after] = [a.boots[test], b.boots[test]];
      return { test, ...(before && { before }), ...(after && { after }) };
    }),
  };
}
