// spec.build.bootTest and spec.build.tests: how an image is booted, and what must hold in it.
import type { Finding } from '../../base/diagnostics/error.ts';
import type { BuildSpec } from '../api/types.ts';
import { contradictions, distinct, imageTests } from './image-tests.ts';
import type { ResolvedBuild } from './resolved.ts';

/** Enough for an emulated node to start everything and to be tested, and to join a cluster and start once more. */
const TESTS_SECONDS = 1200;
const JOIN_SECONDS = 2400;

/** @param findings gets what contradicts itself among the tests */
export function resolveBootTest(
  { bootTest = {}, tests: given }: Pick<BuildSpec, 'bootTest' | 'tests'>,
  architecture: 'amd64' | 'arm64',
  findings: Finding[],
): ResolvedBuild['bootTest'] {
  const { kubernetes, firmware = architecture === 'arm64' ? ['uefi'] : ['bios', 'uefi'] } = bootTest;
  const tests = given && imageTests(given);
  findings.push(...contradictions(tests ?? []));
  if (bootTest.timeout === 0 && (kubernetes || tests)) {
    const what = tests ? 'spec.build.tests' : 'spec.build.bootTest.kubernetes';
    findings.push({
      severity: 'error',
      field: 'spec.build.bootTest.timeout',
      message: `is 0, so nothing would be booted for ${what}; expected the seconds that its tests may take`,
    });
  }
  const defaultTimeout = kubernetes === 'join' ? JOIN_SECONDS : kubernetes || tests ? TESTS_SECONDS : 0;
  return {
    timeout: bootTest.timeout ?? defaultTimeout,
    firmware,
    ...(kubernetes && { kubernetes }),
    ...(tests && { tests: distinct(tests) }),
  };
}
