// The order in which suites start: the longest first, so that at the end no worker is left with one of them while the others
// have nothing to do. On a fresh clone jest knows no durations, and would go by the sizes of the files.
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import Sequencer from '@jest/test-sequencer';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Seconds that suites of more than a minute and a half take on a machine with two cores: their relations matter, not more. */
const SECONDS = {
  'test/e2e/images/node.test.ts': 900,
  'test/e2e/container/engines.test.ts': 700,
  'test/e2e/stages/boot-test/disk.test.ts': 600,
  'test/e2e/stages/boot-test/kubernetes.test.ts': 420,
  'test/e2e/container/builder-image.test.ts': 400,
  'test/e2e/build/build.test.ts': 350,
  'test/e2e/function/node-image.test.ts': 340,
  'test/e2e/stages/rootfs/debian-13.test.ts': 280,
  'test/e2e/stages/boot-test/iso.test.ts': 280,
  'test/e2e/container/buildah.test.ts': 210,
  'test/e2e/fuzz/registries.test.ts': 210,
  'test/e2e/disk/assemble.test.ts': 180,
  'test/e2e/stages/rootfs/lock.test.ts': 155,
  'test/e2e/cli/make.test.ts': 155,
  'test/e2e/fuzz/images.test.ts': 135,
  'test/e2e/stages/rootfs/failures.test.ts': 125,
  'test/e2e/publish/publish.test.ts': 110,
  'test/e2e/fuzz/evidence.test.ts': 110,
  'test/e2e/fuzz/streams.test.ts': 110,
  'test/e2e/build/faults.test.ts': 95,
};

export default class LongestFirst extends Sequencer {
  /** Those of the table by their durations, then the others as jest sorts them. */
  sort(tests) {
    const seconds = ({ path }) => SECONDS[relative(root, path)] ?? 0;
    return super.sort(tests).sort((a, b) => seconds(b) - seconds(a));
  }
}
