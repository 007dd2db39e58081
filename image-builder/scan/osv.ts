// Records of the Open Source Vulnerability format (https://ossf.github.io/osv-schema/), ecosystems Debian and Ubuntu.
import { baseScore, ratingOf } from './cvss.ts';
import { score4 } from './cvss4.ts';
import { compareDebianVersions } from './debian-version.ts';
import { asMap, asText, firstLine, listOf, optionalMap, optionalText } from './fields.ts';
import type { PackageIndex } from './package-index.ts';
import { ScanError } from './scan-error.ts';
import { type Advisory, compareSeverities, type Severity } from './vulnerability.ts';

/** An advisory that affects a version that is installed. */
export interface Hit {
  advisory: Advisory;
  /** Version of the source package. */
  installed: string;
}

type Fields = Record<string, unknown>;

/**
 * @param where for errors: the file
 * @returns what affects the packages; undefined for a record about other systems
 * @throws ScanError for a record that is malformed
 */
export function hitsOfOsv(record: Fields, { system, index }: PackageIndex, where: string): Hit[] | undefined {
  const id = asText(record.id, `${where}: id`);
  const place = `${where}: ${id}`;
  const affected = listOf(record.affected, `${place}: affected`, asMap);
  let isAbout = false;
  const hits: Hit[] = [];
  const isWithdrawn = optionalText(record.withdrawn, `${place}: withdrawn`) !== undefined;
  for (const [position, one] of affected.entries()) {
    const field = `${place}: affected[${position}]`;
    const { ecosystem, name } = optionalMap(one.package, `${field}.package`);
    if (!isOf(optionalText(ecosystem, `${field}.package.ecosystem`), system)) continue;
    isAbout = true;
    if (isWithdrawn) continue;
    for (const version of index.get(asText(name, `${field}.package.name`)) ?? []) {
      const found = affects(one, version, field);
      if (!found) continue;
      hits.push({ advisory: advisoryOf(record, one, id, String(name), found, place), installed: version });
    }
  }
  return isAbout ? hits : undefined;
}

/** `Debian:13`, `Ubuntu:24.04:LTS`; not `Ubuntu:Pro:24.04:LTS`, whose updates need a subscription. */
function isOf(ecosystem: string | undefined, { id, version }: PackageIndex['system']): boolean {
  const [name = '', release] = (ecosystem ?? '').split(':');
  return name.toLowerCase() === id && release === version;
}

/** How a version is affected. */
interface Affected {
  fixed?: string;
}

/** Whether a version is listed, or in one of the ranges (the schema's "Evaluation"). */
function affects(affected: Fields, version: string, where: string): Affected | undefined {
  const versions = listOf(affected.versions, `${where}.versions`, asText);
  const ranges = listOf(affected.ranges, `${where}.ranges`, asMap);
  const isListed = versions.includes(version);
  let found: Affected | undefined;
  for (const [position, { type, events }] of ranges.entries()) {
    const field = `${where}.ranges[${position}]`;
    // Commits of a repository; versions of Debian are an ecosystem's.
    if (asText(type, `${field}.type`) !== 'ECOSYSTEM') continue;
    const inRange = evaluate(listOf(events, `${field}.events`, asMap), version, field);
    if (inRange) found ??= inRange;
  }
  return found ?? (isListed ? {} : undefined);
}

type EventKind = 'introduced' | 'fixed' | 'last_affected';

function evaluate(events: readonly Fields[], version: string, where: string): Affected | undefined {
  const timeline: { kind: EventKind; at: string }[] = [];
  const limits: string[] = [];
  for (const [position, event] of events.entries()) {
    const field = `${where}.events[${position}]`;
    const kinds = Object.keys(event).filter((kind) =>
      ['introduced', 'fixed', 'last_affected', 'limit'].includes(kind),
    );
    if (kinds.length !== 1)
      throw new ScanError(
        'SCAN_INPUT_INVALID',
        `${field} is not one event: introduced, fixed, last_affected or limit`,
      );
    const [kind = ''] = kinds;
    const at = asText(event[kind], `${field}.${kind}`);
    if (kind === 'limit') limits.push(at);
    else timeline.push({ kind: kind as EventKind, at });
  }
  if (
    limits.length > 0 &&
    limits.every((limit) => limit !== '*' && compareDebianVersions(version, limit) >= 0)
  )
    return undefined;
  timeline.sort((a, b) => compareEvents(a.at, b.at));
  let isAffected = false;
  let fixed: string | undefined;
  for (const { kind, at } of timeline) {
    const order = at === '0' ? 1 : compareDebianVersions(version, at);
    if (kind === 'introduced' && order >= 0) [isAffected, fixed] = [true, undefined];
    else if (kind === 'fixed' && order >= 0) isAffected = false;
    else if (kind === 'last_affected' && order > 0) isAffected = false;
    else if (kind === 'fixed') fixed ??= at;
  }
  return isAffected ? { ...(fixed !== undefined && { fixed }) } : undefined;
}

/** `0` comes before every version. */
function compareEvents(a: string, b: string): number {
  if (a === b) return 0;
  if (a === '0') return -1;
  return b === '0' ? 1 : compareDebianVersions(a, b);
}

function advisoryOf(
  record: Fields,
  affected: Fields,
  id: string,
  source: string,
  { fixed }: Affected,
  where: string,
): Advisory {
  const known = (['aliases', 'upstream'] as const).flatMap((name) =>
    listOf(record[name], `${where}: ${name}`, asText),
  );
  // Debian's and Ubuntu's own records of a CVE are that CVE; an advisory may be about many.
  const own = /^(?:DEBIAN|UBUNTU)-(CVE-\d{4}-\d+)$/.exec(id)?.[1];
  const aliases = [...new Set([...(own ? [id] : []), ...known])].filter((one) => one !== (own ?? id)).sort();
  const urgency = urgencyOf(affected, where);
  const rated = severityOf(record, affected, where);
  const state = urgency === 'end-of-life' ? 'end-of-life' : fixed === undefined ? 'unfixed' : 'fixable';
  return {
    id: own ?? id,
    aliases,
    source,
    state,
    ...(fixed !== undefined && { fixed }),
    severity: ratedByDebian(urgency) ?? rated.severity,
    ...(rated.score !== undefined && { score: rated.score }),
    summary: firstLine(record.summary) || firstLine(record.details),
  };
}

function urgencyOf(affected: Fields, where: string): string | undefined {
  const specific = optionalMap(affected.ecosystem_specific, `${where}: ecosystem_specific`);
  return optionalText(specific.urgency, `${where}: ecosystem_specific.urgency`)?.replace(/\*+$/, '');
}

/** What Debian's security team says of it; undefined where it says nothing, or what is no severity. */
export function ratedByDebian(urgency: string | undefined): Severity | undefined {
  if (urgency === 'unimportant') return 'negligible';
  return urgency === 'low' || urgency === 'medium' || urgency === 'high' ? urgency : undefined;
}

/** The most urgent of what the record says, of the package before that of the record. */
function severityOf(record: Fields, affected: Fields, where: string): { severity: Severity; score?: number } {
  for (const [place, from] of [
    ['affected.severity', affected.severity],
    ['severity', record.severity],
  ] as const) {
    const ratings = listOf(from, `${where}: ${place}`, asMap).flatMap((one) =>
      ratingsOf(one, `${where}: ${place}`),
    );
    const [first] = ratings.sort((a, b) => compareSeverities(b.severity, a.severity));
    if (first) return first;
  }
  const { severity } = optionalMap(record.database_specific, `${where}: database_specific`);
  return { severity: word(severity) ?? 'unknown' };
}

function ratingsOf({ type, score }: Fields, where: string): { severity: Severity; score?: number }[] {
  const text = asText(score, `${where}.score`);
  const number = baseScore(text) ?? score4(text);
  if (number !== undefined) return [{ severity: ratingOf(number), score: number }];
  const severity = asText(type, `${where}.type`) === 'Ubuntu' ? word(text) : undefined;
  return severity ? [{ severity }] : [];
}

/** Of GitHub and Ubuntu. */
function word(value: unknown): Severity | undefined {
  switch (typeof value === 'string' ? value.toLowerCase() : '') {
    case 'critical':
      return 'critical';
    case 'high':
    case 'important':
      return 'high';
    case 'medium':
    case 'moderate':
      return 'medium';
    case 'low':
      return 'low';
    case 'negligible':
      return 'negligible';
    default:
      return undefined;
  }
}
