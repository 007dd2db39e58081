// What is signed about boot tests: a test result (https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md).
import { createHash } from 'node:crypto';

/** A boot test that a disk has passed. */
export interface PassedBootTest {
  /** What it was run with: SHA-256, in hex, of the inputs of its stage. */
  settings: string;
  /** Name of the QCOW. */
  disk: string;
  firmware: string;
  /** Seconds until the login prompt, or until the tests inside the image ended. */
  seconds?: number;
  /** QEMU's accelerator: `kvm` or `tcg`. */
  accelerator?: string;
  /** Seconds from power-on until the booted node was Ready in a cluster. */
  readySeconds?: number;
  /** Names of the tests that ran inside the image. */
  tests: string[];
}

/** @param nameOf the name of a disk in the statement: that of its file without its ending */
export function bootPredicate(
  tests: readonly PassedBootTest[],
  nameOf: (disk: string) => string,
): Record<string, unknown> {
  const runs = tests.map(({ disk, firmware, settings: _, ...run }): [string, object] => [
    `${nameOf(disk)}/${firmware}`,
    run,
  ]);
  return {
    result: 'PASSED',
    // One digest of all settings, for a policy to demand.
    // Annotations of a resource descriptor may hold anything; how long it took decides nothing.
    configuration: [
      {
        name: 'login prompt in QEMU',
        digest: { sha256: digestOf(tests) },
        annotations: Object.fromEntries(runs),
      },
    ],
    passedTests: runs.map(([name]) => name),
    warnedTests: [],
    failedTests: [],
  };
}

/** Of what all of them were run with. */
function digestOf(tests: readonly PassedBootTest[]): string {
  const settings = [...new Set(tests.map((test) => test.settings))].sort();
  return createHash('sha256').update(settings.join('\n')).digest('hex');
}
