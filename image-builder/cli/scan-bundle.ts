// Finds known vulnerabilities in the disks of a bundle, for `scan` and `diff`: bills of materials and databases in, a report
// out.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTransport } from '#runtime';
import { redactCredentials } from '../base/diagnostics/redact.ts';
import type { ReadBundleOptions } from '../bundle/read/read-options.ts';
import { readSboms } from '../bundle/read/read-sboms.ts';
import { tlsSettings } from '../oci/http/certificates.ts';
import { DEFAULT_LIMITS } from '../oci/http/client.ts';
import { download } from '../oci/http/download.ts';
import { askDatabase, type DatabaseAnswer, readDocument } from '../scan/database.ts';
import { indexOf } from '../scan/package-index.ts';
import { packagesOf } from '../scan/packages.ts';
import { reportOf } from '../scan/scan.ts';
import { ScanError } from '../scan/scan-error.ts';
import { vexStatements } from '../scan/vex.ts';
import type { DiskPackages, ScanReport } from '../scan/vulnerability.ts';
import { distributionNames, readDistribution } from '../spec/variables/distribution.ts';

/** Databases and documents, by file or, for databases, by https address. */
export interface ScanInputs {
  databases: readonly string[];
  vex: readonly string[];
}

/** Bytes; Ubuntu's records have 200 MiB as an archive. */
const DOWNLOAD_LIMIT = 2 * 1024 * 1024 * 1024;

/**
 * Scans several bundles; a database is fetched once.
 * @param vouched digests (hex SHA-256) of bills of materials that count; undefined: any
 * @throws ScanError, BundleError, RegistryError; InvalidInputError for files that cannot be read
 */
export async function scanBundles(
  references: readonly string[],
  inputs: ScanInputs,
  options: ReadBundleOptions & { signal: AbortSignal },
  vouched?: ReadonlySet<string>,
): Promise<ScanReport[]> {
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-databases-'));
  try {
    const databases: { name: string; path: string }[] = [];
    for (const name of inputs.databases) databases.push(await local(name, directory, options));
    const statements = [];
    for (const file of inputs.vex) statements.push(...vexStatements(await readDocument(file, '--vex'), file));
    const reports: ScanReport[] = [];
    for (const reference of references) {
      const { image, digest, documents } = await readSboms(reference, options);
      const disks = documents.map((document) => {
        requireVouched(document, vouched);
        return withCodename(packagesOf(document.content, document.disk));
      });
      const answers = await askAll(databases, disks);
      reports.push(reportOf({ image, digest, disks, answers, statements }));
    }
    return reports;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function requireVouched(
  { disk, digest }: { disk: string; digest: string },
  vouched: ReadonlySet<string> | undefined,
): void {
  if (!vouched || vouched.has(digest.replace(/^sha256:/, ''))) return;
  throw new ScanError(
    'SCAN_SBOM_UNUSABLE',
    `the bill of materials of ${disk} is not one that a trusted provenance names`,
    {
      hint: 'Somebody has attached another one; delete it, or build with spec.build.bundle.attest.provenance.',
    },
  );
}

async function askAll(
  databases: readonly { name: string; path: string }[],
  disks: readonly DiskPackages[],
): Promise<(DatabaseAnswer & { name: string })[]> {
  const systems = new Map(disks.map(({ system }) => [`${system.id} ${system.version}`, system]));
  const answers = [];
  for (const { name, path } of databases)
    for (const [key, system] of systems) {
      const ofSystem = disks.filter((one) => `${one.system.id} ${one.system.version}` === key);
      answers.push({ ...(await askDatabase(path, indexOf(ofSystem, system))), name });
    }
  return answers;
}

/** Debian's tracker knows releases by name. */
function withCodename(disk: DiskPackages): DiskPackages {
  const name = `${disk.system.id}-${disk.system.version}`;
  if (!distributionNames().includes(name)) return disk;
  const { codename } = readDistribution(name).data;
  return { ...disk, system: { ...disk.system, codename } };
}

/** A database as a file or directory of this machine. */
async function local(
  name: string,
  directory: string,
  { environment = process.env, limits, signal }: ReadBundleOptions & { signal: AbortSignal },
): Promise<{ name: string; path: string }> {
  if (!/^https?:\/\//.test(name)) return { name, path: name };
  if (!URL.canParse(name) || !name.startsWith('https://'))
    throw new ScanError('SCAN_INPUT_INVALID', `${redactCredentials(name)} is not an address of https`);
  const path = join(directory, `${Math.random()}`);
  const transport = await openTransport(environment, (host) => tlsSettings(host, false, environment), {
    ...DEFAULT_LIMITS,
    ...limits,
  });
  try {
    await download(new URL(name), path, { transport, limit: DOWNLOAD_LIMIT, signal });
  } finally {
    transport.close();
  }
  return { name: redactCredentials(name), path };
}
