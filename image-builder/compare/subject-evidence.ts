// What is said of a bundle, for comparing: by whoever has attached it, unchecked, or by the store that has built it.
import { claimsIn } from '../attestation/envelope.ts';
import { PREDICATES, parseStatement } from '../attestation/statement.ts';
import { isRecord, recordsIn } from '../base/record.ts';
import { bootTestsOf } from '../build/evidence.ts';
import { findStatements } from '../bundle/evidence/find-statements.ts';
import { listEvidence } from '../bundle/evidence/list.ts';
import { openImage } from '../bundle/read/open-image.ts';
import type { ReadBundleOptions } from '../bundle/read/read-options.ts';
import { parseReference } from '../oci/reference.ts';
import type { Entry } from '../store/entry.ts';
import type { Store } from '../store/store.ts';

/** A boot test that was passed. */
export interface BootRun {
  /** Absent: it does not tell. */
  seconds?: number;
  /** QEMU's: `kvm`, `tcg`. */
  accelerator?: string;
  /** From power-on until the node was Ready in a cluster. */
  readySeconds?: number;
  /** Names of the tests inside of the image. */
  tests: string[];
}

/** What is said of a bundle. */
export interface SubjectEvidence {
  statements: { kind: string; key?: string }[];
  /** By `<disk>/<firmware>`. */
  boots: Record<string, BootRun>;
}

/**
 * Of a published bundle.
 * @throws RegistryError, TrustError
 */
export async function evidenceAt(text: string, options: ReadBundleOptions): Promise<SubjectEvidence> {
  const { image, close } = await openImage(parseReference(text), options);
  try {
    const listed = await listEvidence(image.source, image.digest);
    const boots: Record<string, BootRun> = {};
    if (listed.some(({ kind }) => kind === 'bootTest'))
      for await (const found of findStatements(image.source, image.digest, new Set([PREDICATES.bootTest]))) {
        const claimed = 'problem' in found ? undefined : claimsIn(found.content);
        const statement = claimed && parseStatement(claimed.payload);
        if (statement && !('reason' in statement)) Object.assign(boots, bootsIn(statement.predicate));
      }
    return {
      statements: listed.map(({ kind, key }) => ({ kind, ...(key !== undefined && { key }) })),
      boots,
    };
  } finally {
    await close();
  }
}

/** Of the entry of a bundle: nobody has signed anything, but the store knows its boot tests. */
export async function evidenceInStore(store: Store, bundle: Entry): Promise<SubjectEvidence> {
  const tests = await bootTestsOf(store, bundle);
  return {
    statements: [],
    boots: Object.fromEntries(
      tests.map(({ disk, firmware, settings: _, ...run }) => [`${disk}/${firmware}`, run]),
    ),
  };
}

/** See bundle/evidence/boot-predicate.ts for what is written. */
function bootsIn({ passedTests, configuration }: Record<string, unknown>): Record<string, BootRun> {
  const names = (Array.isArray(passedTests) ? passedTests : []).filter((one) => typeof one === 'string');
  const [first] = recordsIn(configuration);
  const runs = isRecord(first?.annotations) ? first.annotations : {};
  return Object.fromEntries(names.map((name) => [name, runOf(Object.hasOwn(runs, name) ? runs[name] : {})]));
}

function runOf(value: unknown): BootRun {
  const { seconds, accelerator, readySeconds, tests } = isRecord(value) ? value : {};
  return {
    ...(typeof seconds === 'number' && { seconds }),
    ...(typeof accelerator === 'string' && { accelerator }),
    ...(typeof readySeconds === 'number' && { readySeconds }),
    tests: (Array.isArray(tests) ? tests : []).filter((one) => typeof one === 'string'),
  };
}
