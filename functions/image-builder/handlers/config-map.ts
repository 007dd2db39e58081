// functionConfig of kind ConfigMap: the contract of the predecessor's bundle image. The function runs inside the
// bundle and answers with one profile of /profiles, below a header that makes a Kubernetes object of it.
// Synchronous: one small file is read, and the thread pool alone would cost a tenth of an empty Node's start-up.
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join, posix, resolve, sep } from 'node:path';
import { type Document, isMap, Pair, parseAllDocuments, type YAMLMap } from 'yaml';
import {
  type Finding,
  InvalidInputError,
  invalidInput,
} from '../../../image-builder/base/diagnostics/error.ts';
import { isEmpty, PARSE_OPTIONS } from '../../../image-builder/base/yaml/document.ts';
import { keyNode, keyText, toNode } from '../../../image-builder/base/yaml/values.ts';
import { PROFILES_DIRECTORY } from '../../../image-builder/bundle/model.ts';
import { oddTexts } from '../../../image-builder/bundle/profile/odd-texts.ts';
import { parseProfile } from '../../../image-builder/bundle/profile/profile.ts';
import type { FunctionContext, FunctionResult, Handler } from '../handler.ts';
import { textAt } from '../items.ts';

/** `data` of the ConfigMap. */
interface ConfigMapData {
  /** Path of the profile in the bundle. */
  configPath: string;
  /** YAML that comes before the profile's variables; a VariableCatalogue named like the profile by default. */
  header?: string;
}

const DEFAULT_PATH = `${PROFILES_DIRECTORY}/profile_multistrap.json`;

/** Answers with the profile at `data.configPath`. */
export const handleConfigMap: Handler = async (config, context): Promise<FunctionResult> => {
  const { data, findings } = readData(config.value.data);
  const source = { path: data.configPath, json: readProfile(data.configPath, context) };
  const profile = parseProfile(source);
  const name = basename(data.configPath, '.json');
  const object = data.header === undefined ? defaultHeader(name) : parseHeader(data.header);
  const taken = new Set(object.items.map(({ key }) => keyText(key)));
  const collisions = Object.keys(profile).filter((key) => taken.has(key));
  if (collisions.length > 0) {
    throw invalidInput('data.header', `repeats keys of the profile: ${collisions.join(', ')}`);
  }
  object.items.push(...Object.entries(profile).map(([key, value]) => new Pair(keyNode(key), toNode(value))));
  return { objects: [object], findings: [...findings, ...oddTexts(source)] };
};

function readData(value: unknown): { data: ConfigMapData; findings: Finding[] } {
  const data = (value ?? {}) as Record<string, unknown>;
  if (typeof data !== 'object' || Array.isArray(data)) throw invalidInput('data', 'is not an object');
  const { configPath = DEFAULT_PATH, header, ...unknown } = data;
  const errors: Finding[] = [];
  for (const [name, text] of Object.entries({ configPath, header })) {
    if (text === undefined || typeof text === 'string') continue;
    errors.push(finding('error', `data.${name}`, `is not a string; put the value in quotes`));
  }
  if (errors.length > 0) throw new InvalidInputError(errors);
  const findings = Object.keys(unknown).map((name) =>
    finding('warning', `data.${name}`, 'is not used; expected configPath or header'),
  );
  const text = typeof header === 'string' && header.trim() !== '' ? { header } : {};
  return { data: { configPath: (configPath as string) || DEFAULT_PATH, ...text }, findings };
}

/** The text of a profile; refuses everything that is not below /profiles, also behind symbolic links. */
function readProfile(configPath: string, { profilesDirectory }: FunctionContext): string {
  // Relative paths start at the root, where a container starts, or at the directory of the profiles.
  const path = [posix.resolve('/', configPath), posix.resolve(PROFILES_DIRECTORY, configPath)].find(
    (candidate) => candidate.startsWith(`${PROFILES_DIRECTORY}/`),
  );
  if (path === undefined) throw outside(configPath);
  const file = join(profilesDirectory, path.slice(PROFILES_DIRECTORY.length + 1));
  try {
    const root = realpathSync(profilesDirectory);
    const target = realpathSync(resolve(file));
    if (!target.startsWith(root + sep)) throw outside(configPath);
    return decode(readFileSync(target), configPath);
  } catch (error) {
    if (error instanceof InvalidInputError) throw error;
    throw unreadable(configPath, profilesDirectory, error as NodeJS.ErrnoException);
  }
}

/** Text in another encoding would become other text without a word. */
function decode(content: Buffer, configPath: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw invalidInput('data.configPath', `${configPath} is not UTF-8 text`);
  }
}

function outside(configPath: string): InvalidInputError {
  return invalidInput(
    'data.configPath',
    `${configPath} is outside ${PROFILES_DIRECTORY}, the only directory that is read`,
  );
}

function unreadable(configPath: string, profilesDirectory: string, error: NodeJS.ErrnoException) {
  const present = listDirectory(profilesDirectory);
  if (present === undefined) {
    return invalidInput(
      'data.configPath',
      `${configPath} cannot be read: there is no ${PROFILES_DIRECTORY} here. A ConfigMap reads from the bundle image that the function runs in; otherwise use an ImageBuilder with spec.bundle.image`,
    );
  }
  const profiles = present.filter((name) => /^profile_.*\.json$/.test(name)).sort();
  const known = profiles.length > 0 ? profiles.join(', ') : 'no profile';
  const reason = error.code === 'ENOENT' ? 'does not exist' : `cannot be read (${error.code})`;
  return invalidInput('data.configPath', `${configPath} ${reason}; ${PROFILES_DIRECTORY} has ${known}`);
}

function listDirectory(path: string): string[] | undefined {
  try {
    return readdirSync(path);
  } catch {
    return undefined;
  }
}

function parseHeader(text: string): YAMLMap {
  const documents = (parseAllDocuments(text, PARSE_OPTIONS) as Document[]).filter((one) => !isEmpty(one));
  const problem = documents.flatMap(({ errors }) => errors)[0];
  if (problem) throw invalidInput('data.header', `is not valid YAML: ${problem.message}`);
  if (documents.length > 1) {
    throw invalidInput(
      'data.header',
      `contains ${documents.length} YAML documents, expected the beginning of one`,
    );
  }
  const object = documents[0]?.contents;
  if (!isMap(object)) throw invalidInput('data.header', 'is not a YAML mapping');
  const required = [['apiVersion'], ['kind'], ['metadata', 'name']];
  const missing = required.filter((path) => textAt(object, path) === '').map((path) => path.join('.'));
  if (missing.length > 0) {
    throw invalidInput(
      'data.header',
      `lacks ${missing.join(', ')}, without which no tool accepts the object`,
    );
  }
  return object;
}

function defaultHeader(name: string): YAMLMap {
  const header = { apiVersion: 'airshipit.org/v1alpha1', kind: 'VariableCatalogue', metadata: { name } };
  return toNode(header) as YAMLMap;
}

function finding(severity: Finding['severity'], field: string, message: string): Finding {
  return { severity, field, message };
}
