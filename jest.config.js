// `unit` runs in seconds without any tool; `e2e` drives the real clients (kustomize, registries, QEMU, ...); `bun` reads
// from them again in the runtime of the native executable, and `native` drives that executable itself.
const shared = {
  rootDir: '.',
  testEnvironment: 'node',
  // ESM-only dependencies (execa, typebox) are compiled too: jest runs everything as CommonJS.
  transform: {
    '/spec/api/(?:find-schema-errors|fits-schema)\\.ts$': '<rootDir>/test/support/validator-transformer.mjs',
    '\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  // Its export map has only an `import` condition, and jest requires.
  moduleNameMapper: { '^unicorn-magic$': '<rootDir>/node_modules/unicorn-magic/node.js' },
  transformIgnorePatterns: [
    '/node_modules/(?!(execa|typebox|fzstd|is-stream|is-plain-obj|is-unicode-supported|get-stream|figures|human-signals|npm-run-path|path-key|parse-ms|pretty-ms|strip-final-newline|unicorn-magic|yoctocolors|@sindresorhus|@sec-ant)/)',
  ],
};

const endToEnd = { ...shared, setupFilesAfterEnv: ['<rootDir>/test/e2e/support/timeout.ts'] };

export default {
  testSequencer: '<rootDir>/test/support/longest-first.mjs',
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['<rootDir>/test/unit/**/*.test.ts'],
      setupFilesAfterEnv: ['<rootDir>/test/support/timeout.ts'],
    },
    { ...endToEnd, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.test.ts'] },
    {
      ...endToEnd,
      displayName: 'bun',
      testMatch: ['<rootDir>/test/e2e/oci/{access,faults,nginx,read-bundle}.test.ts'],
      moduleNameMapper: {
        ...shared.moduleNameMapper,
        '/image-builder/bundle/read/read-bundle\\.ts$': '<rootDir>/test/e2e/support/bun/read.ts',
      },
    },
    {
      ...endToEnd,
      displayName: 'native',
      testMatch: [
        '<rootDir>/test/e2e/cli/{extract,process}.test.ts',
        '<rootDir>/test/e2e/function/{extract,kpt,kustomize,process}.test.ts',
      ],
      setupFiles: ['<rootDir>/test/e2e/support/use-native.ts'],
    },
  ],
};
