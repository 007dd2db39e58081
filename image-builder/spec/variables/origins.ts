// Where the user has written what apt gets, so that what is wrong with it can be told by its field. Pure.
import { formatFieldPath } from '../../base/diagnostics/field-path.ts';
import type { Repository } from '../api/types.ts';
import type { Layer } from './overrides.ts';
import { nameOfRequest, withoutVersion } from './package-names.ts';

/** Fields of the ImageBuilder object: `spec.build.rootfs.multistrap.packages_append[2]`. */
export interface Origins {
  /** By name of the repository; that of the distribution's own is none. */
  repositories: Readonly<Record<string, string>>;
  /** Field of the key, by name of the repository. */
  keys: Readonly<Record<string, string>>;
  /** By name of the package, with the architecture when one is asked for. */
  packages: Readonly<Record<string, string>>;
}

const PACKAGE_FIELDS = [
  ...['kernel_base_pkg', 'kernel_headers_pkg'],
  ...['packages', 'ubuntu_packages', 'packages_append', 'ubuntu_packages_append'],
];
const REPOSITORY_LISTS = ['repos', 'repos_append'];
const KEYS = ['keyring', 'keyring_file', 'keyring_url', 'keyring_pkg'] as const;

/** @param layers of the role multistrap, as the user has written them: the later ones win */
export function originsOf(layers: readonly Layer[]): Origins {
  const repositories = new Map<string, string>();
  const keys = new Map<string, string>();
  const packages = new Map<string, string>();
  const notePackages = (value: unknown, path: Layer['field']) => {
    const names: unknown[] = Array.isArray(value) ? value : String(value ?? '').split(/[\s,]+/);
    for (const [index, name] of names.entries()) {
      const field = formatFieldPath(Array.isArray(value) ? [...path, index] : path);
      packages.set(withoutVersion(String(name).trim()), field);
    }
  };
  for (const { values, field } of layers) {
    for (const name of PACKAGE_FIELDS) notePackages(values[name], [...field, name]);
    for (const list of REPOSITORY_LISTS) {
      for (const [index, repository] of ((values[list] ?? []) as Repository[]).entries()) {
        const path = [...field, list, index];
        repositories.set(repository.name, formatFieldPath(path));
        const key = KEYS.find((name) => repository[name] !== undefined);
        if (key !== undefined) keys.set(repository.name, formatFieldPath([...path, key]));
        notePackages(repository.packages, [...path, 'packages']);
      }
    }
  }
  return {
    repositories: Object.fromEntries(repositories),
    keys: Object.fromEntries(keys),
    packages: Object.fromEntries(packages),
  };
}

/** What a record has under a name that a user has chosen. */
export const originOf = (record: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** The field that asks for a package, `name` or `name:architecture`. */
export const originOfPackage = ({ packages }: Origins, request: string): string | undefined =>
  originOf(packages, request) ?? originOf(packages, nameOfRequest(request));
