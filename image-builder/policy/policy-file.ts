// The policy file (YAML, kind ImageBuilderPolicy): text to checked data, every finding at once.
import { parseStrictJson } from '../attestation/strict-json.ts';
import { MAX_AGE_PATTERN, REQUIREMENTS, TEST_CONFIGURATION_PATTERN } from '../attestation/trust-settings.ts';
import { type Finding, InvalidInputError } from '../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath } from '../base/diagnostics/field-path.ts';
import { isRecord } from '../base/record.ts';
import type { BundleRule, TrustedStore } from './policy.ts';

/** The content of a policy file. What is absent is left to the other sources of the policy, and to the defaults. */
export interface PolicyFile {
  /** Of the machine's file only: whether the user's file counts as well. */
  userPolicy?: boolean;
  read?: string[];
  write?: string[];
  push?: string[];
  stores?: TrustedStore[];
  bundles?: BundleRule[];
  builder?: { images?: string[]; networks?: string[]; namespaces?: string[] };
  backgroundBuilds?: boolean;
  credentialHelpers?: boolean;
}

const API_VERSION = 'airshipit.org/v1alpha1';
const KIND = 'ImageBuilderPolicy';

/** A repository with its registry; `/*` for all below, `*` for all. */
const REPOSITORY = /^(?:\*|[a-zA-Z0-9[][a-zA-Z0-9.[\]:_-]*(?:\/[a-z0-9._-]+)*(?:\/\*)?)$/;
const IMAGE =
  /^(?:\*|[a-zA-Z0-9[][a-zA-Z0-9.[\]:_-]*(?:\/[a-z0-9._-]+)*(?::[\w.-]+)?(?:\/\*)?(?:@sha256:[0-9a-f]{64})?)$/;

type StoreInFile = Pick<TrustedStore, 'repository'> & Partial<TrustedStore>;

type Check = (value: unknown, path: FieldPath, findings: Finding[]) => void;

const boolean: Check = (value, path, findings) => {
  if (typeof value !== 'boolean') report(findings, path, value, 'true or false');
};

const listOf =
  (isItem: (text: string) => boolean, expected: string): Check =>
  (value, path, findings) => {
    if (!Array.isArray(value)) return report(findings, path, value, `a list of ${expected}`);
    for (const [index, item] of value.entries()) {
      if (typeof item !== 'string' || !isItem(item)) report(findings, [...path, index], item, expected);
    }
  };

const paths = listOf((text) => text.startsWith('/'), 'absolute paths');
const repositories = listOf(
  (text) => REPOSITORY.test(text),
  'repositories such as registry.example.org/site/*',
);
const images = listOf(
  (text) => IMAGE.test(text),
  'images such as registry.example.org/builder or registry.example.org/builder@sha256:...',
);
const keys = listOf((text) => text.trim() !== '', 'Ed25519 public keys in PEM');
const networks = listOf((text) => text.trim() !== '', 'names of networks, or default');
const namespaces = listOf((text) => text.trim() !== '', 'names of namespaces');
const repository: Check = (value, path, findings) => {
  const isRepository = typeof value === 'string' && REPOSITORY.test(value);
  if (!isRepository) report(findings, path, value, 'a repository such as registry.example.org/site/store');
};

/** @param required fields that must be there */
const map =
  (fields: Readonly<Record<string, Check>>, required: readonly string[] = []): Check =>
  (value, path, findings) => {
    if (!isRecord(value)) return report(findings, path, value, 'a map');
    for (const [name, inner] of Object.entries(value)) {
      const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
      if (check) check(inner, [...path, name], findings);
      else
        findings.push(problem([...path, name], `unknown field, expected ${Object.keys(fields).join(', ')}`));
    }
    for (const name of required.filter((name) => !Object.hasOwn(value, name))) {
      findings.push(problem([...path, name], 'is missing'));
    }
  };

const store = map({ repository, keys, trustRegistry: boolean }, ['repository']);
const text: Check = (value, path, findings) => {
  if (typeof value !== 'string' || value === '') report(findings, path, value, 'a text');
};
const trust = map(
  {
    keys: listOf((one) => one.trim() !== '', 'P-256 or Ed25519 public keys in PEM'),
    require: listOf((one) => REQUIREMENTS.some((known) => known === one), REQUIREMENTS.join(', ')),
    threshold: (value, path, findings) => {
      if (!Number.isSafeInteger(value) || Number(value) < 1) report(findings, path, value, 'a number from 1');
    },
    claims: (value, path, findings) => {
      if (!isRecord(value)) return report(findings, path, value, 'a map of texts');
      for (const [name, claim] of Object.entries(value)) text(claim, [...path, name], findings);
    },
    maxAge: (value, path, findings) => {
      const isAge = typeof value === 'string' && new RegExp(MAX_AGE_PATTERN).test(value);
      if (!isAge) report(findings, path, value, 'a time such as 90d, 12h, 30m or 600s');
    },
    builder: text,
    buildType: text,
    testConfiguration: (value, path, findings) => {
      const isDigest = typeof value === 'string' && new RegExp(TEST_CONFIGURATION_PATTERN).test(value);
      if (!isDigest) report(findings, path, value, 'sha256: and 64 hexadecimal digits');
    },
  },
  ['keys'],
);
const bundleRule = map({ repository, trust }, ['repository', 'trust']);
const constant =
  (expected: string): Check =>
  (value, path, findings) => {
    if (value !== expected) report(findings, path, value, expected);
  };

const policy = map(
  {
    apiVersion: constant(API_VERSION),
    kind: constant(KIND),
    userPolicy: boolean,
    read: paths,
    write: paths,
    push: repositories,
    stores: (value, path, findings) => {
      if (!Array.isArray(value)) return report(findings, path, value, 'a list of stores');
      for (const [index, item] of value.entries()) store(item, [...path, index], findings);
    },
    bundles: (value, path, findings) => {
      if (!Array.isArray(value)) return report(findings, path, value, 'a list of rules');
      for (const [index, item] of value.entries()) bundleRule(item, [...path, index], findings);
    },
    builder: map({ images, networks, namespaces }),
    backgroundBuilds: boolean,
    credentialHelpers: boolean,
  },
  ['apiVersion', 'kind'],
);

/**
 * @param file for messages
 * @throws InvalidInputError with every finding, each naming the file and the line
 */
export async function parsePolicyFile(text: string, file: string): Promise<PolicyFile> {
  const value = fromJson(text) ?? (await import('./policy-yaml.ts')).readPolicyYaml(text, file);
  const findings: Finding[] = [];
  policy(value, [], findings);
  if (findings.length > 0) {
    const { withLine } = await import('./policy-yaml.ts');
    throw new InvalidInputError(findings.map((finding) => withLine({ ...finding, file }, text)));
  }
  const {
    apiVersion: _,
    kind: __,
    stores,
    ...rest
  } = value as PolicyFile & Record<'apiVersion' | 'kind', string>;
  if (stores === undefined) return rest;
  return {
    ...rest,
    stores: stores.map(({ repository, keys = [], trustRegistry = false }: StoreInFile) => ({
      repository,
      keys,
      trustRegistry,
    })),
  };
}

/** JSON is YAML, and needs no library: 9 ms of each run. What is none, or has a key twice, is for those who explain it. */
function fromJson(text: string): unknown {
  if (!text.startsWith('{')) return undefined;
  try {
    return parseStrictJson(Buffer.from(text));
  } catch {
    return undefined;
  }
}

function report(findings: Finding[], path: FieldPath, value: unknown, expected: string): void {
  const met = value === undefined ? 'is missing' : `is ${JSON.stringify(value)}`;
  findings.push(problem(path, `${met}, expected ${expected}`));
}

function problem(path: FieldPath, message: string): Finding {
  return { severity: 'error', message, ...(path.length > 0 && { field: formatFieldPath(path) }) };
}
