// What the predicates of trusted statements say, as far as policies ask for it. Whoever signed may have written anything.
import { isRecord, recordsIn } from '../base/record.ts';
import { PREDICATES, SBOM_MANIFEST_ANNOTATION, type Statement } from './statement.ts';

/** Who built something, and what the other fields of its provenance mean. */
export interface Origin {
  builder?: string;
  buildType?: string;
}

/** Of a provenance. */
export function originOf({ predicate }: Statement): Origin {
  const builder = recordIn(recordIn(predicate.runDetails).builder).id;
  const { buildType } = recordIn(predicate.buildDefinition);
  return {
    ...(typeof builder === 'string' && { builder }),
    ...(typeof buildType === 'string' && { buildType }),
  };
}

/** Digests of the manifests of bills of materials that a provenance names. */
export function sbomManifestsOf({ predicateType, predicate }: Statement): string[] {
  if (predicateType !== PREDICATES.provenance) return [];
  return recordsIn(recordIn(predicate.runDetails).byproducts).flatMap((one) => {
    const manifest = recordIn(one.annotations)[SBOM_MANIFEST_ANNOTATION];
    return typeof manifest === 'string' ? [manifest] : [];
  });
}

/** Of a boot test. */
export function hasPassed({ predicate }: Statement): boolean {
  const { result, failedTests } = predicate;
  return (
    result === 'PASSED' &&
    (failedTests === undefined || (Array.isArray(failedTests) && failedTests.length === 0))
  );
}

/** What a boot test was run with, as a digest; undefined if it says nothing, or several things. */
export function testConfigurationOf({ predicate }: Statement): string | undefined {
  const [configuration, ...others] = recordsIn(predicate.configuration);
  const { sha256 } = recordIn(configuration?.digest);
  return typeof sha256 === 'string' && others.length === 0 ? `sha256:${sha256}` : undefined;
}

/** A disk that has booted. */
export interface BootedDisk {
  /** In hex. */
  sha256: string;
  /** See {@link testConfigurationOf}. */
  configuration?: string;
}

/** Disks among the subjects by whose names passed tests are listed: `control-plane/uefi` for `control-plane.qcow2`. */
export function bootedDisksOf(statement: Statement): BootedDisk[] {
  if (statement.predicateType !== PREDICATES.bootTest || !hasPassed(statement)) return [];
  const { passedTests } = statement.predicate;
  const tested = new Set(
    (Array.isArray(passedTests) ? passedTests : []).flatMap((test) =>
      typeof test === 'string' ? [test.slice(0, test.lastIndexOf('/'))] : [],
    ),
  );
  const configuration = testConfigurationOf(statement);
  return statement.subject.flatMap(({ name = '', digest: { sha256 } }) =>
    sha256 !== undefined && tested.has(name.replace(/\.qcow2$/, ''))
      ? [{ sha256, ...(configuration !== undefined && { configuration }) }]
      : [],
  );
}

const recordIn = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});
