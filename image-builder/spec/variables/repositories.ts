// What the schema cannot say about packages and repositories.
import type { Finding } from '../../base/diagnostics/error.ts';
import { formatFieldPath } from '../../base/diagnostics/field-path.ts';
import { PathError } from '../../policy/paths.ts';
import type { SpecFiles } from '../../policy/spec-files.ts';
import type { Repository } from '../api/types.ts';
import { keyringProblem } from './keyring.ts';
import type { Layer } from './overrides.ts';
import { packageList } from './package-list.ts';
import { isPackageName, isPackageRequest } from './package-names.ts';
import { type Report, reportTo } from './variable-files.ts';

/** It becomes a file name. */
const REPOSITORY_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

const KEYS = ['keyring', 'keyring_file', 'keyring_pkg', 'keyring_url'] as const;
const PACKAGE_LISTS = ['packages', 'packages_append', 'ubuntu_packages', 'ubuntu_packages_append'];
/** Where an empty text means none. */
const PACKAGES = ['kernel_base_pkg', 'kernel_headers_pkg'];
/** Bytes; that of a distribution has some 10 KiB. */
const KEYRING_LIMIT = 1 << 20;
const REPOSITORY_LISTS = ['repos', 'repos_append'];

/**
 * Findings about the packages and repositories of a layer of the role multistrap.
 * @param knowsKey whether a repository without a key of its own has one all the same
 */
export function checkRepositories(layer: Layer, knowsKey: (repository: Repository) => boolean): Finding[] {
  const findings: Finding[] = [];
  const report = reportTo(findings, layer);
  for (const list of PACKAGE_LISTS) checkPackages(layer.values[list], [list], report);
  for (const field of PACKAGES) {
    const name = layer.values[field];
    if (typeof name === 'string' && name !== '') checkPackage(name, [field], report);
  }
  if (layer.values.repos !== undefined) {
    for (const field of ['snapshot', 'non_free_firmware', 'backports']) {
      if (layer.values[field] === undefined) continue;
      report([field], "applies to the distribution's own repositories, which repos replaces; set it there");
    }
  }
  for (const [index, name] of packageList(layer.values.unapproved_packages).entries()) {
    if (!isPackageName(name)) report(['unapproved_packages', index], notAPackageName(name));
  }
  for (const list of REPOSITORY_LISTS) {
    for (const [index, repository] of repositoriesOf(layer, list).entries()) {
      checkRepository(repository, knowsKey(repository), [list, index], report);
    }
  }
  return findings;
}

/** The layer with lists in the place of text that names packages, so that lists can be appended to it. */
export function withPackageLists(layer: Layer): Layer {
  const names = [...PACKAGE_LISTS, 'unapproved_packages'].filter((name) => layer.values[name] !== undefined);
  const lists = names.map((name) => [name, packageList(layer.values[name])]);
  return { ...layer, values: { ...layer.values, ...Object.fromEntries(lists) } };
}

/** The repositories of layers that name a key of their own. */
export const repositoriesWithKeys = (layers: readonly Layer[]): Repository[] =>
  layers
    .flatMap((layer) => REPOSITORY_LISTS.flatMap((list) => repositoriesOf(layer, list)))
    .filter((repository) => KEYS.some((key) => repository[key] !== undefined));

function checkPackages(packages: unknown, path: readonly (string | number)[], report: Report): void {
  for (const [index, name] of packageList(packages).entries()) checkPackage(name, [...path, index], report);
}

function checkPackage(name: string, path: readonly (string | number)[], report: Report): void {
  if (isPackageRequest(name)) return;
  report(path, `is ${JSON.stringify(name)}, expected a package such as vim or vim=2:9.1.1230-2`);
}

const notAPackageName = (name: unknown) =>
  `is ${JSON.stringify(name)}, expected the name of a package such as vim`;

function checkRepository(
  repository: Repository,
  knowsKey: boolean,
  path: readonly (string | number)[],
  report: Report,
): void {
  const { name, suite, components = '' } = repository;
  if (!REPOSITORY_NAME.test(name)) {
    report([...path, 'name'], `is ${JSON.stringify(name)}, expected letters, digits, ".", "_" and "-" only`);
  }
  const keys = KEYS.filter((key) => repository[key] !== undefined);
  if (keys.length > 1 || (keys.length === 0 && !knowsKey)) {
    const met = keys.length === 0 ? 'names no key' : `names more than one key: ${keys.join(', ')}`;
    report(path, `${met}; expected exactly one of ${KEYS.join(', ')}`);
  }
  if (repository.keyring_pkg !== undefined && !isPackageName(repository.keyring_pkg)) {
    report([...path, 'keyring_pkg'], notAPackageName(repository.keyring_pkg));
  }
  if (repository.keyring_url?.startsWith('http:') && repository.keyring_checksum === undefined) {
    report(
      [...path, 'keyring_checksum'],
      'is missing; over http anybody on the way can replace the key. Give the sha256 of the file that keyring_url serves, or use https',
    );
  }
  if (repository.keyring_checksum !== undefined && repository.keyring_url === undefined) {
    report([...path, 'keyring_checksum'], 'belongs to keyring_url, which is missing');
  }
  const flat = suite.endsWith('/');
  if (flat && components.trim() !== '') {
    report(
      [...path, 'components'],
      `is ${JSON.stringify(components)}; a flat repository (suite ${suite}) has none`,
    );
  }
  if (!flat && components.trim() === '') {
    report([...path, 'components'], 'is missing; only a flat repository (a suite that ends in "/") has none');
  }
  checkPackages(repository.packages, [...path, 'packages'], report);
}

/**
 * Reads the files that `keyring_file` names into `keyring`, so that the result does not depend on this machine.
 */
export async function readKeyringFiles(layer: Layer, files: SpecFiles, findings: Finding[]): Promise<Layer> {
  const values = { ...layer.values };
  for (const list of REPOSITORY_LISTS) {
    if (!Array.isArray(values[list])) continue;
    values[list] = await Promise.all(
      repositoriesOf(layer, list).map(async (repository, index) => {
        const { keyring_file, ...rest } = repository;
        if (keyring_file === undefined) return repository;
        const field = formatFieldPath([...layer.field, list, index, 'keyring_file']);
        const file = layer.file === undefined ? {} : { file: layer.file };
        try {
          const content = await files.read(keyring_file, KEYRING_LIMIT);
          const problem = keyringProblem(content);
          if (problem === undefined) return { ...rest, keyring: encodeKeyring(content) };
          findings.push({ severity: 'error', field, message: `${keyring_file} ${problem}`, ...file });
        } catch (error) {
          if (!(error instanceof PathError)) throw error;
          findings.push(error.finding(field, layer.file));
        }
        return rest;
      }),
    );
  }
  return { ...layer, values };
}

const encodeKeyring = (content: Buffer): string =>
  content.toString('latin1').startsWith('-----BEGIN')
    ? content.toString('utf8')
    : `base64:${content.toString('base64')}`;

const repositoriesOf = (layer: Layer, list: string): Repository[] => {
  const value = layer.values[list];
  return Array.isArray(value) ? (value as Repository[]) : [];
};
