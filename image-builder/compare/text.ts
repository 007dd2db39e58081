// A comparison for people at a terminal.
import type { Change } from '../pipeline/input-changes.ts';
import type { Comparison, PackageChange } from './comparison.ts';
import { describeImage, describePartitionValue, describeValue, oneLine } from './describe.ts';
import { hasChanges, sectionsOf } from './sections.ts';

/** Lines of text. */
export function renderText(comparison: Comparison): string {
  const { a, b, identical, variables, packages, images, unknown } = comparison;
  const lines = [`a: ${oneLine(a.image)}`, `b: ${oneLine(b.image)}`];
  if (identical) lines.push('The two are identical.');
  else if (!hasChanges(comparison)) lines.push('No known difference.');
  if (variables.length > 0) lines.push('', `Variables (${variables.length})`);
  for (const change of variables) {
    lines.push(`  ${changeLine(change, describeValue)}  [${change.profiles.map(describeValue).join(', ')}]`);
  }
  if (packages.length > 0) lines.push('', `Packages: ${countPackages(packages)}`);
  lines.push(...packages.map((change) => `  ${packageLine(change)}`));
  if (images.length > 0) lines.push('', `Images (${images.length})`);
  for (const image of images) {
    lines.push(`  ${describeValue(image.name)}: ${describeImage(image).map(describeValue).join('; ')}`);
    const partitions = image.partitions ?? [];
    lines.push(...partitions.map((change) => `    ${changeLine(change, describePartitionValue)}`));
  }
  for (const { title, rows } of sectionsOf(comparison)) {
    lines.push('', title, ...rows.map((cells) => `  ${cells.filter(Boolean).map(describeValue).join('  ')}`));
  }
  if (unknown.length > 0) lines.push('', ...unknown.map((what) => `Not compared: ${oneLine(what)}`));
  return `${lines.join('\n')}\n`;
}

/** `~ path: before → after`. */
export function changeLine(
  { path, before, after }: Change,
  describe: (value: unknown) => string = describeValue,
): string {
  const where = describeValue(path);
  if (before === undefined) return `+ ${where}: ${describe(after)}`;
  if (after === undefined) return `- ${where}: ${describe(before)}`;
  return `~ ${where}: ${describe(before)} → ${describe(after)}`;
}

/** `2 added, 1 upgraded`. */
export function countPackages(packages: readonly PackageChange[]): string {
  const counts = new Map<string, number>();
  for (const { change } of packages) counts.set(change, (counts.get(change) ?? 0) + 1);
  return [...counts].map(([change, count]) => `${count} ${change}`).join(', ');
}

const SIGNS = { added: '+', removed: '-', upgraded: '↑', downgraded: '↓', rearranged: '~' } as const;

function packageLine({ name, change, before, after }: PackageChange): string {
  const versions = [before, after].filter((version) => version !== undefined).map(describeValue);
  return `${SIGNS[change]} ${describeValue(name)} ${versions.join(' → ')}`;
}
