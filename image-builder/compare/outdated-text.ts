// What is newer, for people at a terminal.
import { describeValue } from './describe.ts';
import { isOutdated, type Outdated, type PackageUpdate } from './outdated.ts';

/** Lines of text. */
export function renderOutdated(report: Outdated): string {
  const { locked, kubernetes, packages, images } = report;
  const lines = kubernetes ? kubernetesLines(kubernetes) : [];
  if (!locked) lines.push('There is no lock: every build takes the newest packages that the spec allows.');
  const important = packages.filter(({ role }) => role !== 'other' && role !== 'kubernetes');
  for (const one of important) lines.push(`${one.role}: ${packageLine(one)}`);
  const security = packages.filter((one) => one.security);
  if (security.length > 0) lines.push('', `Security updates (${security.length})`);
  lines.push(...security.map((one) => `  ${packageLine(one)}`));
  if (packages.length > 0) lines.push('', `A new lock would change ${packages.length} packages`);
  lines.push(...packages.map((one) => `  ${packageLine(one)}`));
  if (images.length > 0) lines.push('', `Container images (${images.length})`);
  lines.push(...images.map((image) => `  ${changed(image.reference, image)}`));
  if (!isOutdated(report)) lines.push('Nothing is newer.');
  return `${lines.join('\n')}\n`;
}

function kubernetesLines({
  version,
  endOfLife,
  isPastEndOfLife,
  newest,
  later,
}: NonNullable<Outdated['kubernetes']>): string[] {
  const end =
    endOfLife === undefined ? '' : `, ${isPastEndOfLife ? 'past its ' : ''}end of life ${endOfLife}`;
  return [
    `kubernetes: ${version}${newest === undefined ? '' : ` → ${newest}`}${end}`,
    ...later.map(
      (release) =>
        `kubernetes ${release.minor}: ${release.version}${release.endOfLife === undefined ? '' : `, end of life ${release.endOfLife}`}`,
    ),
  ].map(describeValue);
}

const packageLine = (one: PackageUpdate): string => changed(one.name, one);

function changed(what: string, { before, after }: { before?: string; after?: string }): string {
  const name = describeValue(what);
  if (before === undefined) return `+ ${name} ${describeValue(after)}`;
  if (after === undefined) return `- ${name} ${describeValue(before)}`;
  return `~ ${name} ${describeValue(before)} → ${describeValue(after)}`;
}
