// For plans of tests that run no code of the product.
import type { StageKind } from '../../image-builder/pipeline/plan.ts';

/** One identity of code for every kind of stage. */
export const sameCode = (code: string): Record<StageKind, string> => ({
  rootfs: code,
  osconfig: code,
  qcow: code,
  iso: code,
  'boot-test': code,
  bundle: code,
});
