// What a comparison of two bundles takes and gives: plain data, printed as JSON as it is.

import type { Artifacts } from '../bundle/model.ts';
import type { Change } from '../pipeline/input-changes.ts';
import type { Vulnerability } from '../scan/vulnerability.ts';
import type { EvidenceChanges } from './evidence.ts';
import type { MaterialChange, Materials } from './materials.ts';
import type { SubjectEvidence } from './subject-evidence.ts';
import type { VulnerabilityChange } from './vulnerabilities.ts';

/** One of the two bundles. */
export interface Subject {
  /** As the user called it. */
  name: string;
  /** Where it was read from, with its digest. */
  image: string;
  digest: string;
  /** Variables by profile. */
  profiles: Record<string, Record<string, unknown>>;
  /** Versions by package; absent for bundles that do not tell. */
  packages?: Readonly<Record<string, { version: string; architecture: string }>>;
  artifacts: Artifacts;
  /** What is said of it; absent when that cannot be asked for. */
  evidence?: SubjectEvidence;
  /** What its bills of materials list; absent when nobody has asked. */
  materials?: Materials;
  /** What a database says of it; absent when none was given. */
  vulnerabilities?: readonly Vulnerability[];
  /** What reading it has cost: HTTP requests, and bytes received or read from local files. */
  cost: { requests: number; bytes: number };
}

/** A variable that differs. */
export interface VariableChange extends Change {
  /** Profiles that have this change: a variable of the root file system is in those of the QCOWs, too. */
  profiles: string[];
}

/** How a package differs. `rearranged`: the same version for another architecture. */
export type PackageChangeKind = 'added' | 'removed' | 'upgraded' | 'downgraded' | 'rearranged';

export interface PackageChange {
  name: string;
  change: PackageChangeKind;
  /** Version, with the architecture where that has changed. Absent: it was added. */
  before?: string;
  /** Absent: it was removed. */
  after?: string;
}

/** Two numbers of bytes; one is absent when only one side knows. */
export interface SizeChange {
  before?: number;
  after?: number;
}

/** What differs between two disk images, or that there is only one. */
export interface ImageChange {
  /** Name of the QCOW, `iso` for the ISO. */
  name: string;
  change: 'added' | 'removed' | 'changed';
  /** File name, when it has changed. */
  file?: { before?: string; after?: string };
  /** Size of the file. */
  size?: SizeChange;
  /** Size of the disk that the guest sees. */
  virtualSize?: SizeChange;
  /** By path: `partition 3.size`. */
  partitions?: Change[];
}

/** Everything that differs between two bundles. */
export interface Comparison {
  a: { name: string; image: string; digest: string };
  b: { name: string; image: string; digest: string };
  /** Both have the same digest: not a byte differs. */
  identical: boolean;
  variables: VariableChange[];
  packages: PackageChange[];
  images: ImageChange[];
  /** Who has signed what, unchecked, and how the disks have booted. */
  evidence?: EvidenceChanges;
  /** Licences, files of no package, downloads and scripts; when that was asked for. */
  materials?: MaterialChange[];
  /** Known vulnerabilities that came or went; when there is a database. */
  vulnerabilities?: VulnerabilityChange[];
  /** What could not be compared, and why. */
  unknown: string[];
}
