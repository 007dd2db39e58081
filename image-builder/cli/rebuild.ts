// `image-builder verify REF --rebuild`: whether anybody who builds a bundle again gets the same bytes.
import { readFile } from 'node:fs/promises';
import type { TrustPolicy } from '../attestation/policy.ts';
import { readSigningKey } from '../attestation/signing-key-file.ts';
import { invalidInput } from '../base/diagnostics/error.ts';
import { printable, printableLines } from '../base/diagnostics/printable.ts';
import { writeOut } from '../base/diagnostics/standard-streams.ts';
import { isRecord } from '../base/record.ts';
import { readDocuments } from '../base/yaml/read-documents.ts';
import { builderId } from '../build/finished-bundle.ts';
import { type OriginalBundle, readOriginal } from '../build/rebuild/original.ts';
import type { Secrets } from '../build/rebuild/read-description.ts';
import { type DigestChange, type Rebuild, rebuild } from '../build/rebuild/rebuild.ts';
import { RebuildError } from '../build/rebuild/rebuild-error.ts';
import { BundleError } from '../bundle/bundle-error.ts';
import { signImage } from '../bundle/evidence/sign.ts';
import type { ReadBundleOptions } from '../bundle/read/read-options.ts';
import { readSboms } from '../bundle/read/read-sboms.ts';
import { compareBundles } from '../compare/compare.ts';
import type { Comparison, Subject } from '../compare/comparison.ts';
import { materialsOf } from '../compare/materials.ts';
import { readSubject } from '../compare/subject.ts';
import { renderText } from '../compare/text.ts';
import { storeDirectory } from '../store/location.ts';
import { openStore } from '../store/store.ts';
import type { CommandContext } from './context.ts';
import { policyOf } from './policy-options.ts';
import { printedValue } from './printed-value.ts';
import { verificationLines } from './verification-text.ts';

/** What the command line says of it. */
interface RebuildRequest {
  secrets?: string;
  signKey?: string;
  output: 'text' | 'json' | 'yaml';
  context: CommandContext;
}

/**
 * Verifies a bundle, builds it again, and prints what came of it.
 * @throws RebuildError REBUILD_DIFFERS; what reading and building throw
 */
export async function rebuildBundle(
  reference: string,
  rules: readonly TrustPolicy[],
  options: Omit<ReadBundleOptions, 'trust'>,
  request: RebuildRequest,
): Promise<void> {
  const { env, cwd } = { env: process.env, cwd: process.cwd() };
  // What cannot be used is told before anything is built.
  const key = request.signKey === undefined ? undefined : await readSigningKey(request.signKey, env);
  const secrets = request.secrets === undefined ? {} : await readSecrets(request.secrets);
  const original = await readOriginal(reference, rules, options);
  const { image } = original.verification;
  process.stderr.write(`${printable(announcement(original))}\n`);
  const compare = async (rebuilt: string): Promise<Comparison> => {
    const store = await openStore(storeDirectory(env, { cwd }));
    const [before, after] = await Promise.all([
      withMaterials(await readSubject(image, store, options), options),
      withMaterials(await readSubject(rebuilt, store, { ...options, cache: false }), options),
    ]);
    // What is said of the original is not said of a copy that nobody has published.
    const { evidence: _, ...original } = before;
    const { evidence: __, ...copy } = after;
    return compareBundles(original, copy);
  };
  const policy = await policyOf({}, cwd, '-');
  const { credentials } = options;
  const result = await rebuild(original, {
    ...{ cwd, policy, secrets, compare, env },
    ...(credentials && { credentials }),
    ...request.context,
  });
  writeOut(
    request.output === 'text'
      ? printableLines(text(original, result))
      : await printedValue({ ...original.verification, rebuild: result }, request.output),
  );
  if (result.different.length > 0) throw differs(image, result);
  if (!key) return;
  const signed = await signImage(image, {
    ...options,
    ...request.context,
    key,
    claims: { rebuiltBy: builderId(env) },
    now: Date.now() / 1000,
  });
  process.stderr.write(`signed by the key ${signed.keyId.slice(0, 16)}, which has rebuilt it\n`);
}

/** With what its bills of materials list, where it has some: files and downloads are what mostly differs. */
async function withMaterials(subject: Subject, options: Omit<ReadBundleOptions, 'trust'>): Promise<Subject> {
  try {
    const { documents } = await readSboms(subject.image, { ...options, cache: false });
    return { ...subject, materials: materialsOf(documents) };
  } catch (error) {
    if (error instanceof BundleError && error.code === 'SBOM_MISSING') return subject;
    throw error;
  }
}

function announcement({ verification, facts, key }: OriginalBundle): string {
  return `building ${verification.image} again as ${facts.builder} (key ${key.slice(0, 16)}) has described it: the scripts of that description run in the sandbox of this machine, with its packages and downloads`;
}

function text(original: OriginalBundle, result: Rebuild<Comparison>): string {
  const { same, different, comparison } = result;
  const verdict =
    different.length === 0
      ? `built again: the same bytes (${same} digests of image, layers, disks and bills of materials)`
      : `built again: ${different.length} of ${same + different.length} digests differ`;
  return [
    ...verificationLines(original.verification).map(printable),
    verdict,
    ...changes(result),
    ...(comparison ? ['', renderText(comparison).trimEnd()] : []),
    '',
  ].join('\n');
}

const changes = ({ different, tools }: Rebuild<unknown>): string[] => [
  ...different.map((change) => printable(`  ${line(change)}`)),
  ...tools.map((change) => printable(`  tool ${line(change)}`)),
];

const line = ({ what, before = 'none', after = 'none' }: DigestChange): string =>
  `${what}: ${before} → ${after}`;

function differs(image: string, result: Rebuild<unknown>): RebuildError {
  const tools = result.tools.length;
  return new RebuildError('REBUILD_DIFFERS', `built again, ${image} has other bytes`, {
    hint:
      tools > 0
        ? `The builder had other versions of ${tools} tools; use those.`
        : 'The tools are the same: somebody has built it from something else, or a step of it is not reproducible.',
    output: changes(result).map((one) => one.trim()),
  });
}

/** @throws InvalidInputError; nothing of the file is in it */
async function readSecrets(file: string): Promise<Secrets> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw invalidInput('--secrets', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const { values, problems } = readDocuments(text);
  const [value] = values;
  if (problems.length > 0 || values.length !== 1 || !isRecord(value))
    throw invalidInput('--secrets', `${file} is no map in YAML from field to value`);
  const entries = Object.entries(value).map(([field, secret]): [string, string] => {
    if (typeof secret !== 'string') throw invalidInput('--secrets', `${file}: ${field} is no text`);
    return [field, secret];
  });
  return Object.fromEntries(entries);
}
