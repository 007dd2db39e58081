// Finds the policy of a run: the machine's file, the user's where the machine lets it count, then what the caller says
// for this run by variables of the environment and options. What one of them allows is allowed; for switches, the nearest
// counts. Whoever can set them could as well start any other program: the policy is about what specs may do.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { errnoOf } from '../base/diagnostics/errno.ts';
import { invalidInput } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';
import type { Caller, Policy, TrustedStore } from './policy.ts';
import type { PolicyFile } from './policy-file.ts';
import { MACHINE_POLICY_FILE } from './refusal.ts';

/** A policy is no larger (bytes). */
const LIMIT = 1 << 20;

export interface PolicyOptions {
  caller: Caller;
  env: Env;
  /** What relative paths of variables and options are relative to. */
  cwd: string;
  /** Options of the command line. */
  allowPath?: readonly string[];
  allowOutput?: readonly string[];
  /** `--store-repository`. */
  storeRepository?: string;
  /** The machine's policy; default {@link MACHINE_POLICY_FILE}. */
  machineFile?: string;
}

/** @throws InvalidInputError for a policy that is unreadable, wrong, or that others could have written */
export async function loadPolicy(options: PolicyOptions): Promise<Policy> {
  const { caller } = options;
  const { machine, user } = await readPolicyFiles(options);
  const said = await readVariables(options);
  // The nearest first.
  const sources = [said, user ?? {}, machine ?? {}];
  const list = <Item>(pick: (source: PolicyFile) => Item[] | undefined): Item[] | undefined => {
    const lists = sources.map(pick).filter((one) => one !== undefined);
    return lists.length === 0 ? undefined : lists.flat();
  };
  const switched = (pick: (source: PolicyFile) => boolean | undefined): boolean | undefined =>
    sources.map(pick).find((one) => one !== undefined);
  const isPerson = caller === 'person';
  // That a store is named says nothing about whom to believe there.
  const namesTrust = [user, machine].some((source) => source?.stores) || said.stores?.some(vouchesForAny);
  return {
    caller,
    read: list((source) => source.read) ?? [],
    write: list((source) => source.write) ?? [],
    push: said.push?.length === 0 ? [] : (list((source) => source.push) ?? (isPerson ? ['*'] : [])),
    stores: list((source) => source.stores) ?? [],
    storesOfSpec: isPerson && !namesTrust,
    bundles: bundleRules({ machine, user }),
    images: list((source) => source.builder?.images) ?? (isPerson ? ['*'] : []),
    networks: list((source) => source.builder?.networks) ?? ['default', ...(isPerson ? ['*'] : [])],
    namespaces: list((source) => source.builder?.namespaces) ?? (isPerson ? ['*'] : []),
    backgroundBuilds: switched((source) => source.backgroundBuilds) ?? isPerson,
    credentialHelpers: switched((source) => source.credentialHelpers) ?? true,
  };
}

/**
 * The part of the policy that whoever reads a bundle needs.
 * @throws InvalidInputError as {@link loadPolicy}
 */
export async function loadBundleRules(
  options: Pick<PolicyOptions, 'env' | 'cwd' | 'machineFile'>,
): Promise<Policy['bundles']> {
  return bundleRules(await readPolicyFiles(options));
}

/** Neither the user's file nor a spec takes away what the machine's demands. */
function bundleRules({ machine, user }: PolicyFiles): Policy['bundles'] {
  return [machine, user].flatMap((source) => (source?.bundles ? [source.bundles] : []));
}

/** The files that count. */
interface PolicyFiles {
  machine: PolicyFile | undefined;
  user: PolicyFile | undefined;
}

async function readPolicyFiles({
  env,
  cwd,
  machineFile = MACHINE_POLICY_FILE,
}: Pick<PolicyOptions, 'env' | 'cwd' | 'machineFile'>): Promise<PolicyFiles> {
  const machine = await readPolicyFile(machineFile);
  const named = env.IMAGE_BUILDER_POLICY;
  const userFile = named ? resolve(cwd, named) : userPolicyFile(env);
  const counts = named || machine === undefined || machine.userPolicy === true;
  const user = userFile !== undefined && counts ? await readPolicyFile(userFile) : undefined;
  if (named && user === undefined) throw invalidInput('IMAGE_BUILDER_POLICY', `${userFile} does not exist`);
  return { machine, user };
}

function vouchesForAny({ keys, trustRegistry }: TrustedStore): boolean {
  return keys.length > 0 || trustRegistry;
}

/** XDG Base Directory Specification 0.8: `$XDG_CONFIG_HOME`, ignored unless absolute, else `$HOME/.config`. */
function userPolicyFile({ XDG_CONFIG_HOME, HOME }: Env): string | undefined {
  const home = HOME && isAbsolute(HOME) ? join(HOME, '.config') : undefined;
  const directory = XDG_CONFIG_HOME && isAbsolute(XDG_CONFIG_HOME) ? XDG_CONFIG_HOME : home;
  return directory && join(directory, 'image-builder', 'policy.yaml');
}

/** Read at once: every run looks for these two small files, and threads that wait for a disk cost more than the disk. */
async function readPolicyFile(path: string): Promise<PolicyFile | undefined> {
  let file: number;
  try {
    // Opening a fifo would wait for its writer otherwise.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw invalidInput({ file: path }, `cannot be read: ${(error as Error).message}`);
  }
  try {
    const facts = fstatSync(file);
    const { uid, mode, size } = facts;
    if (!facts.isFile()) throw invalidInput({ file: path }, 'is not a regular file');
    if (size > LIMIT)
      throw invalidInput({ file: path }, `has ${size} bytes, more than the ${LIMIT} of a policy`);
    if (uid !== 0 && uid !== process.getuid?.())
      throw invalidInput(
        { file: path },
        `belongs to the user ${uid}; a policy must belong to root or to you`,
      );
    if ((mode & 0o022) !== 0)
      throw invalidInput(
        { file: path },
        `can be written by others (mode ${(mode & 0o777).toString(8)}); chmod go-w ${path}`,
      );
    const text = readFileSync(file, 'utf8');
    return await (await import('./policy-file.ts')).parsePolicyFile(text, path);
  } finally {
    closeSync(file);
  }
}

/** What the caller says for this run. */
async function readVariables(options: PolicyOptions): Promise<PolicyFile> {
  const { env, cwd, allowPath, allowOutput } = options;
  const paths = (variable: string, given: readonly string[] = []) => {
    const all = [...(env[variable]?.split(delimiter) ?? []), ...given].filter((path) => path !== '');
    return all.length > 0 ? all.map((path) => resolve(cwd, path)) : undefined;
  };
  const words = (variable: string) => env[variable]?.split(/[\s,]+/).filter((word) => word !== '');
  const push = words('IMAGE_BUILDER_PUSH');
  const images = words('IMAGE_BUILDER_IMAGES');
  const networks = words('IMAGE_BUILDER_NETWORKS');
  const namespaces = words('IMAGE_BUILDER_NAMESPACES');
  return definedOnly<PolicyFile>({
    read: paths('IMAGE_BUILDER_ALLOW_PATHS', allowPath),
    write: paths('IMAGE_BUILDER_ALLOW_OUTPUTS', allowOutput),
    push: push?.[0] === 'never' ? [] : push?.length ? push : undefined,
    stores: await readStore(options),
    builder: definedOnly({
      images: images?.length ? images : undefined,
      networks: networks?.length ? networks : undefined,
      namespaces: namespaces?.length ? namespaces : undefined,
    }),
    backgroundBuilds: readSwitch(env, 'IMAGE_BUILDER_BACKGROUND_BUILDS'),
    credentialHelpers: readSwitch(env, 'IMAGE_BUILDER_CREDENTIAL_HELPERS'),
  });
}

function readSwitch(env: Env, variable: string): boolean | undefined {
  const value = env[variable];
  if (!value) return undefined;
  if (value === 'allow' || value === 'never') return value === 'allow';
  throw invalidInput(variable, `is ${JSON.stringify(value)}, expected allow or never`);
}

/** The shared store of the environment. Keys without a repository are good for every one: they vouch for the content. */
async function readStore({ env, cwd, storeRepository }: PolicyOptions): Promise<TrustedStore[] | undefined> {
  const repository = storeRepository || env.IMAGE_BUILDER_STORE_REPOSITORY;
  const file = env.IMAGE_BUILDER_STORE_KEYS;
  const trust = env.IMAGE_BUILDER_STORE_TRUST;
  if (trust && trust !== 'registry')
    throw invalidInput('IMAGE_BUILDER_STORE_TRUST', `is ${JSON.stringify(trust)}, expected registry`);
  if (trust && !repository)
    throw invalidInput(
      'IMAGE_BUILDER_STORE_TRUST',
      'needs IMAGE_BUILDER_STORE_REPOSITORY, which names the registry',
    );
  if (!repository && !file) return undefined;
  const keys = file ? pemBlocks(await readKeys(resolve(cwd, file))) : [];
  const trustRegistry = trust === 'registry';
  return [
    ...(repository ? [{ repository, keys, trustRegistry }] : []),
    ...(file ? [{ repository: '*', keys, trustRegistry: false }] : []),
  ];
}

async function readKeys(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw invalidInput('IMAGE_BUILDER_STORE_KEYS', `cannot be read: ${(error as Error).message}`);
  }
}

function pemBlocks(text: string): string[] {
  return text.match(/-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g) ?? [text];
}

function definedOnly<T extends object>(values: { [Name in keyof T]: T[Name] | undefined }): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
