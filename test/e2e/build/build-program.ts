// A whole build as a program, whose results may go to the directory of temporary files: `build-program STORE NAME SPEC`. Prints events as lines of JSON, then the result.
import { tmpdir } from 'node:os';
import { listenForInterrupt } from '../../../image-builder/base/diagnostics/interrupt.ts';
import { build } from '../../../image-builder/build/build.ts';
import { resolveBuild } from '../../../image-builder/spec/variables/resolve.ts';
import { PERSON } from '../../support/policies.ts';

const [store = '', name = '', spec = '{}'] = process.argv.slice(2);
const interrupt = listenForInterrupt();
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
const cwd = process.cwd();
resolveBuild(name, JSON.parse(spec), { cwd })
  .then((resolved) =>
    build(resolved, {
      cwd,
      policy: { ...PERSON, write: [tmpdir()] },
      store,
      report: print,
      signal: interrupt.signal,
    }),
  )
  .then((contents) => print({ contents }))
  .catch((error) => {
    print({ error: error.message, code: error.code });
    process.exitCode = 1;
  })
  .finally(() => interrupt.dispose());
