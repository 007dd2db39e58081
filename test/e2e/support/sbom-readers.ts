// The readers of bills of materials: trivy's decoder (trivy-sbom/, built once through the Go module proxy and kept in
// .cache), syft, and the validator of the SPDX project; scripts/setup.sh --tests installs the last two.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { goProgram } from './go-program.ts';

const cache = join(__dirname, '../../../.cache');
const LARGE = { maxBuffer: 1 << 28 };

/** A package as a reader has understood it. */
export interface ReadPackage {
  name: string;
  /** As trivy has it: without the revision. */
  version: string;
  source?: string;
}

/** What trivy makes of a document. */
export function readByTrivy(document: string): {
  os?: { Family: string; Name: string };
  packages: ReadPackage[];
} {
  const { Metadata, Packages } = JSON.parse(
    execFileSync(goProgram('trivy-sbom'), { input: document, ...LARGE }).toString(),
  );
  const found = (Packages ?? []).flatMap((one: { Packages: Record<string, string>[] }) => one.Packages);
  return {
    os: Metadata?.OS,
    packages: found.map(({ Name, Version, SrcName }: Record<string, string>) => ({
      name: Name,
      version: Version,
      source: SrcName,
    })),
  };
}

/** What syft makes of a document. */
export function readBySyft(file: string): {
  distro: { id: string; versionID: string };
  packages: ReadPackage[];
} {
  const syft = join(cache, 'evidence/bin/syft');
  const env = { ...process.env, SYFT_CHECK_FOR_APP_UPDATE: 'false' };
  const output = execFileSync(syft, ['convert', file, '--output', 'syft-json', '--quiet'], { env, ...LARGE });
  const { distro, artifacts } = JSON.parse(output.toString());
  const debs = artifacts.filter(({ type }: { type: string }) => type === 'deb');
  return {
    distro,
    packages: debs.map(
      ({ name, version, metadata }: { name: string; version: string; metadata?: { source?: string } }) => ({
        name,
        version,
        ...(metadata?.source && { source: metadata.source }),
      }),
    ),
  };
}

/** What the validator of the SPDX project has to say against a document; nothing when it is valid. */
export function validateSpdx(file: string): string {
  const program = join(cache, 'evidence/bin/pyspdxtools');
  const { status, stdout, stderr, error } = spawnSync(program, ['--infile', file], {
    encoding: 'utf8',
    ...LARGE,
  });
  if (error) throw error;
  return status === 0 ? '' : `${stdout}${stderr}`;
}
