// For plans of tests that run no code of the product.

/** One identity of code for every kind of stage. */
export const sameCode = (code: string): Record<string, string> =>
  Object.fromEntries(
    ['rootfs', 'osconfig', 'preload', 'qcow', 'iso', 'boot-test', 'bundle'].map((kind) => [kind, code]),
  );
