// The stage `bundle`: the layers of the QCOWs, their checksums and the profiles as one image. Its results: bundle-entry.ts.
import { describeStage } from '../stage.ts';
import type { BundleFacts } from './bundle-entry.ts';
import { type BundleInputs, bundleInputs } from './bundle-inputs.ts';
import { FUNCTION_BASE } from './function-base.ts';

export const bundle = describeStage<BundleInputs, BundleFacts>({
  kind: 'bundle',
  code: { sandbox: false, data: [] },
  define: (build) => {
    const inputs = bundleInputs(build);
    return [
      {
        name: 'bundle',
        inputs,
        parents: ['osconfig', ...inputs.qcows.map((name) => `qcow/${name}`)],
        tools: build.bundle.base === 'function' ? [FUNCTION_BASE] : [],
        fetches: false,
      },
    ];
  },
  tasks: () => [],
  load: () => import('./run.ts'),
});
