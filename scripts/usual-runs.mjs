// What usual runs of the executables load with `import()`: the modules that start these parts. `scripts/single-file.mjs`
// joins what they load together. A module that nothing imports so any more fails the build; one that is missing here costs
// a millisecond in such a run, and nothing else.

const FROM_LAYOUT = [
  'image-builder/oci/layout/layout-source.ts',
  'image-builder/policy/spec-files.ts',
  'image-builder/runtime/node/decoder.ts',
];
const FROM_REGISTRY = [
  'image-builder/oci/sources/registry.ts',
  'image-builder/oci/distribution/repository-client.ts',
  'image-builder/oci/distribution/endpoint.ts',
  'image-builder/oci/http/client.ts',
  'image-builder/oci/http/certificates.ts',
  'image-builder/oci/credentials/keychain.ts',
  'image-builder/oci/credentials/registries-conf.ts',
  'image-builder/runtime/node/http-transport.ts',
  'image-builder/runtime/node/decoder.ts',
  'image-builder/runtime/node/tls-probe.ts',
];

/** A signature is demanded, by a policy in JSON or by the object. */
const TRUST = [
  'image-builder/policy/policy-file.ts',
  'image-builder/bundle/evidence/trust.ts',
  'image-builder/bundle/evidence/trust-rules.ts',
  'image-builder/attestation/policy.ts',
];

/** A build that has its result already. */
const RESULT = [
  'image-builder/build/build.ts',
  'image-builder/spec/variables/resolve.ts',
  'image-builder/spec/variables/end-of-life.ts',
];

const OBJECT = [
  'functions/image-builder/engine-command.ts',
  'functions/image-builder/handlers/image-builder.ts',
  'functions/image-builder/engine.ts',
  'functions/image-builder/container-advice.ts',
  'image-builder/policy/load.ts',
];
const BUNDLE = [...OBJECT, 'image-builder/bundle/read/read-bundle.ts', 'image-builder/oci/local-path.ts'];

/** The function with an ImageBuilder object. */
export const RENDERS = [
  [...BUNDLE, ...FROM_REGISTRY],
  [...BUNDLE, ...FROM_LAYOUT],
  [...BUNDLE, ...FROM_REGISTRY, ...TRUST],
  [...OBJECT, ...RESULT],
];

const READING = [
  'image-builder/policy/load.ts',
  'image-builder/bundle/read/small-files.ts',
  'image-builder/bundle/artifacts.ts',
];
const HELP = ['image-builder/cli/every-command.ts'];

/** What the commands need that pipelines run all the time. */
export const READING_COMMANDS = [...READING, ...FROM_REGISTRY];

/** The command line. */
export const COMMANDS = [
  [...READING, ...FROM_LAYOUT],
  [...READING, ...FROM_REGISTRY],
  [...READING, ...FROM_REGISTRY, ...TRUST],
  ['image-builder/bundle/read/read-bundle.ts', 'node_modules/yaml/browser/dist/index.js'],
  [
    'image-builder/bundle/read/inspect.ts',
    'image-builder/bundle/evidence/list.ts',
    'image-builder/oci/referrers/list.ts',
  ],
  HELP,
  [...HELP, 'image-builder/cli/spec-file.ts', ...RESULT],
];
