// What was asked for besides variables, packages and images, as tables that all formats print. Pure.
import type { Comparison } from './comparison.ts';
import type { BootRun } from './subject-evidence.ts';

/** A table; its cells are text of strangers. */
export interface Section {
  title: string;
  columns: string[];
  rows: string[][];
}

/** Whether anything differs; times of boots do not count. */
export function hasChanges(comparison: Comparison): boolean {
  const { variables, packages, images, materials = [], vulnerabilities = [], evidence } = comparison;
  const lists = [variables, packages, images, materials, vulnerabilities, evidence?.statements ?? []];
  return lists.some((list) => list.length > 0);
}

/** The tables that have rows. */
export function sectionsOf({ materials = [], vulnerabilities = [], evidence }: Comparison): Section[] {
  const { statements = [], boots = [] } = evidence ?? {};
  const all: Section[] = [
    {
      title: `Vulnerabilities: ${countChanges(vulnerabilities)}`,
      columns: ['vulnerability', 'change', 'severity', 'source package', 'version'],
      rows: vulnerabilities.map(({ id, change, severity, source, installed }) => [
        id,
        change,
        severity,
        source,
        installed,
      ]),
    },
    {
      title: `Licences, files and container images (${materials.length})`,
      columns: ['what', 'name', 'before', 'after'],
      rows: materials.map(({ kind, name, before = 'none', after = 'none' }) => [kind, name, before, after]),
    },
    {
      title: `Statements: ${countChanges(statements)}`,
      columns: ['statement', 'change', 'key'],
      rows: statements.map(({ kind, change, key = '' }) => [kind, change, key.slice(0, 16)]),
    },
    {
      title: `Boot tests (${boots.length})`,
      columns: ['disk and firmware', 'before', 'after'],
      rows: boots.map(({ test, before, after }) => [test, describeBoot(before), describeBoot(after)]),
    },
  ];
  return all.filter(({ rows }) => rows.length > 0);
}

function countChanges(changes: readonly { change: 'added' | 'removed' }[]): string {
  const added = changes.filter(({ change }) => change === 'added').length;
  const parts = [
    added > 0 && `${added} added`,
    changes.length > added && `${changes.length - added} removed`,
  ];
  return parts.filter(Boolean).join(', ');
}

/** `booted in 12 s (kvm), Ready after 40 s, 3 tests`. */
function describeBoot(run: BootRun | undefined): string {
  if (!run) return 'not tested';
  const { seconds, accelerator, readySeconds, tests } = run;
  const time = seconds === undefined ? 'booted' : `booted in ${Math.round(seconds)} s`;
  const how = accelerator === undefined ? '' : ` (${accelerator})`;
  const ready = readySeconds === undefined ? '' : `, Ready after ${Math.round(readySeconds)} s`;
  const inside = tests.length === 1 ? ', 1 test' : `, ${tests.length} tests`;
  return `${time}${how}${ready}${tests.length > 0 ? inside : ''}`;
}
