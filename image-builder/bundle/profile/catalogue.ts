// Turns what is in a bundle into VariableCatalogue objects, as plain data.

import type { CatalogueOptions } from '../../spec/api/types.ts';
import type { Artifacts, BundleContents, IsoArtifact, Profile } from '../model.ts';
import { kubernetesVersion } from './kubernetes-version.ts';
import { parseProfile } from './profile.ts';

/** A VariableCatalogue (airshipit.org/v1alpha1): its data lies at the top level, beside metadata. */
export interface VariableCatalogue extends Record<string, unknown> {
  apiVersion: 'airshipit.org/v1alpha1';
  kind: 'VariableCatalogue';
  metadata: { name: string; labels?: Record<string, string>; annotations?: Record<string, string> };
}

/** How the catalogues of a bundle are named. */
export interface CatalogueNames {
  /** Name of the ImageBuilder object: the artifacts are `<name>-artifacts`. */
  name: string;
  /** Names of catalogues by the profile's path in the bundle; default: the profile's name. */
  profiles?: ReadonlyMap<string, string>;
}

/**
 * The catalogues of a bundle: one of each profile, then the one of the artifacts.
 * @throws ProfileError when a profile is not a JSON object
 */
export function cataloguesOf(
  contents: BundleContents,
  names: CatalogueNames,
  options: CatalogueOptions = {},
): VariableCatalogue[] {
  const profiles = contents.profiles.map((profile) => {
    const name = names.profiles?.get(profile.path) ?? profile.name;
    return catalogue(name, options, profileData(profile));
  });
  const artifacts = catalogue(artifactsName(names.name), options, artifactsData(contents, options));
  return [...profiles, artifacts];
}

/** Name of the catalogue that tells where the artifacts of an ImageBuilder are. */
export function artifactsName(name: string): string {
  return `${name}-artifacts`;
}

function catalogue(
  name: string,
  { namePrefix = '', labels, annotations }: CatalogueOptions,
  data: Record<string, unknown>,
): VariableCatalogue {
  return {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'VariableCatalogue',
    metadata: {
      name: `${namePrefix}${name}`,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
    },
    ...data,
  };
}

/** The variables of a profile; `kubernetes.version` follows the `k8s_version` that it is derived from. */
export function profileData(profile: Profile): Record<string, unknown> {
  const variables = parseProfile(profile);
  const version = typeof variables.k8s_version === 'string' && kubernetesVersion(variables.k8s_version);
  if (!version || Object.hasOwn(variables, 'kubernetes')) return variables;
  return Object.fromEntries(
    Object.entries(variables).flatMap(([key, value]): [string, unknown][] =>
      key === 'k8s_version'
        ? [
            [key, value],
            ['kubernetes', { version }],
          ]
        : [[key, value]],
    ),
  );
}

/** Everything about the files of the bundle, as maps so that replacements can address it. */
function artifactsData(
  { reference, artifacts }: BundleContents,
  { imageBaseURL }: CatalogueOptions,
): Record<string, unknown> {
  const { image, digest } = reference;
  return {
    bundle: { image, digest },
    qcows: mapValues(artifacts.qcows, (qcow) => artifactData(qcow, imageBaseURL)),
    ...(artifacts.iso && { iso: artifactData(artifacts.iso, imageBaseURL) }),
  };
}

type Artifact = Artifacts['qcows'][string] | IsoArtifact;

/** An artifact with the fields that Metal3 wants, each alone and as the whole `image` of an object of Metal3. */
function artifactData(artifact: Artifact, imageBaseURL: string | undefined): Record<string, unknown> {
  const { file, format, size, virtualSize, md5, sha256, sha512, oci, rootFSUUID } =
    artifact as Artifacts['qcows'][string];
  const url = imageBaseURL && `${imageBaseURL.replace(/\/+$/, '')}/${encodeURIComponent(file ?? '')}`;
  const strongest = Object.entries({ sha256, sha512, md5 }).find(([, digest]) => digest !== undefined);
  const [checksumType, checksum] = strongest ?? [];
  const sums = { md5, sha256, sha512 };
  const place = { file, url, oci, checksum, checksumType, format, size, virtualSize, ...sums, rootFSUUID };
  const image = format === 'qcow2' ? metal3Images({ url, oci, checksum, checksumType, format }) : {};
  return { ...known(place), ...(Object.keys(image).length > 0 && { image }) };
}

/**
 * The `image` of Metal3's objects, to be carried whole: as v1beta1 of CAPM3 and a BareMetalHost write it, as v1beta2 does,
 * and, for all of them, in a registry, where the digest is the checksum and no other may stand beside it.
 */
function metal3Images(artifact: {
  url: string | undefined;
  oci: string | undefined;
  checksum: string | undefined;
  checksumType: string | undefined;
  format: string;
}): Record<string, unknown> {
  const { url, oci, checksum, checksumType, format } = artifact;
  const file = known({ url, checksum, checksumType });
  return {
    ...(url && { v1beta1: { ...file, format }, v1beta2: { ...file, diskFormat: format } }),
    ...(oci && { oci: { url: oci } }),
  };
}

function known(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== ''),
  );
}

function mapValues<Value, Result>(
  object: Record<string, Value>,
  transform: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, transform(value)]));
}
