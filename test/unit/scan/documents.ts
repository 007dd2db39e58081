// Documents for the tests of scans, in the formats in which they are published.
import { spdxDocument } from '../../../image-builder/sbom/spdx.ts';

/** A package as dpkg's status file has it. */
export interface Installed {
  name: string;
  version: string;
  /** `util-linux (2.41-5)` */
  source?: string;
  architecture?: string;
}

/** The bill of materials of a Debian 13 disk with these packages. */
export function sbomOf(packages: readonly Installed[], file = 'node.qcow2'): Buffer {
  const status = packages
    .map(
      ({ name, version, source, architecture = 'amd64' }) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n${source ? `Source: ${source}\n` : ''}`,
    )
    .join('\n');
  return Buffer.from(
    spdxDocument({
      disk: { file, sha256: 'd'.repeat(64) },
      created: 1,
      inventory: {
        osRelease: 'ID=debian\nVERSION_ID="13"\n',
        status,
        licences: new Map(),
        files: [],
        omitted: 0,
        wanted: new Map(),
        images: [],
      },
      archives: [],
      fetched: [],
      scripts: [],
    }),
  );
}

/** A record as OSV publishes it for Debian. */
export const osvRecord = (
  id: string,
  name: string,
  events: object[],
  { ecosystem = 'Debian:13', affected = {}, ...more }: Record<string, unknown> & { affected?: object } = {},
) => ({
  id,
  modified: '2026-11-01T00:00:00Z',
  ...more,
  affected: [
    {
      package: { ecosystem, name },
      ranges: [{ type: 'ECOSYSTEM', events }],
      ecosystem_specific: {},
      ...affected,
    },
  ],
});
