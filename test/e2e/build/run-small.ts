// The small build as a program: `run-small STORE INPUTS [LAYOUT]`. Prints events as lines of JSON, then the result.
import { listenForInterrupt } from '../../../image-builder/base/diagnostics/interrupt.ts';
import { publishSmall, smallBuild } from './small-stages.ts';

const [store = '', inputs = '{}', layout] = process.argv.slice(2);
const interrupt = listenForInterrupt();
const print = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
smallBuild(store, JSON.parse(inputs), { report: print, signal: interrupt.signal })
  .then(async (entry) => {
    if (layout === undefined) return entry;
    print({ type: 'stage', stage: 'publish', status: 'started' });
    print({ published: await publishSmall(entry, layout) });
    return entry;
  })
  .then((entry) => print({ key: entry.key, files: entry.files, createdAt: entry.createdAt }))
  .catch((error) => {
    print({ error: error.message, code: error.code });
    process.exitCode = 1;
  })
  .finally(() => interrupt.dispose());
