// The data of Debian's security tracker (https://security-tracker.debian.org/tracker/data/json): by source package, by
// vulnerability, by release.
import { compareDebianVersions } from './debian-version.ts';
import { asMap, asText, firstLine, optionalText } from './fields.ts';
import { type Hit, ratedByDebian } from './osv.ts';
import type { PackageIndex } from './package-index.ts';
import { ScanError } from './scan-error.ts';
import type { VulnerabilityState } from './vulnerability.ts';

type Fields = Record<string, unknown>;

/** What the file says of the installed packages. */
export interface TrackerAnswer {
  hits: Hit[];
  /** How many vulnerabilities it has of the release. */
  records: number;
}

/** Whether a document is the tracker's: packages, in each of them vulnerabilities with releases. */
export function isTrackerData(document: Fields): boolean {
  const [first] = Object.values(document);
  const [inner] = typeof first === 'object' && first !== null ? Object.values(first) : [];
  return typeof inner === 'object' && inner !== null && 'releases' in inner;
}

/** @throws ScanError for data that are malformed */
export function hitsOfTracker(
  document: Fields,
  { system, index }: PackageIndex,
  where: string,
): TrackerAnswer {
  const { codename } = system;
  const answer: TrackerAnswer = { hits: [], records: 0 };
  if (codename === undefined || system.id !== 'debian') return answer;
  for (const [source, vulnerabilities] of Object.entries(document)) {
    const versions = index.get(source) ?? [];
    for (const [id, entry] of Object.entries(asMap(vulnerabilities, `${where}: ${source}`))) {
      const place = `${where}: ${source}: ${id}`;
      const { releases, description } = asMap(entry, place);
      const release = asMap(releases, `${place}: releases`)[codename];
      if (release === undefined) continue;
      answer.records += 1;
      if (versions.length === 0) continue;
      const found = stateOf(asMap(release, `${place}: ${codename}`), `${place}: ${codename}`);
      for (const installed of versions)
        if (isAffected(found, installed))
          answer.hits.push({
            installed,
            advisory: {
              id,
              aliases: [],
              source,
              state: found.state,
              ...(found.fixed !== undefined && { fixed: found.fixed }),
              severity: ratedByDebian(found.urgency) ?? 'unknown',
              summary: firstLine(description),
            },
          });
    }
  }
  return answer;
}

interface ReleaseState {
  state: VulnerabilityState;
  /** `0`: the release never had it. */
  fixed?: string;
  urgency?: string;
}

function stateOf(release: Fields, where: string): ReleaseState {
  const status = asText(release.status, `${where}: status`);
  const urgency = optionalText(release.urgency, `${where}: urgency`)?.replace(/\*+$/, '');
  const fixed = optionalText(release.fixed_version, `${where}: fixed_version`);
  const rest = { ...(urgency !== undefined && { urgency }) };
  if (status === 'resolved') {
    if (fixed === undefined)
      throw new ScanError(
        'SCAN_INPUT_INVALID',
        `${where}: status is resolved, and there is no fixed_version`,
      );
    return { state: 'fixable', fixed, ...rest };
  }
  if (status === 'open') return { state: urgency === 'end-of-life' ? 'end-of-life' : 'unfixed', ...rest };
  if (status === 'undetermined') return { state: 'undetermined', ...rest };
  throw new ScanError(
    'SCAN_INPUT_INVALID',
    `${where}: status is ${JSON.stringify(status.slice(0, 80))}, expected open, resolved or undetermined`,
  );
}

const isAffected = ({ fixed }: ReleaseState, installed: string): boolean =>
  fixed === undefined || (fixed !== '0' && compareDebianVersions(installed, fixed) < 0);
