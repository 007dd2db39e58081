// A build as one document that needs no other file: what is signed with a bundle, so that anybody can build it again. It is
// an ImageBuilder object with every default and template filled in, its scripts and its lock file. Pure.
import type { ImageBuilder } from '../api/types.ts';
import { osconfigWithoutCredentials, repositoryWithoutCredentials } from './credentials.ts';
import { readDistribution } from './distribution.ts';
import type { ResolvedBuild } from './resolved.ts';
import type { PinnedImage } from './resolved-kubernetes.ts';
import type { ResolvedRepository } from './resolved-multistrap.ts';
import type { ResolvedOsconfig, ScriptFile } from './resolved-osconfig.ts';
import { withoutCredentials } from './uri.ts';

/** A build that can be done again. */
export interface BuildDescription {
  /** `spec.build` names no file, no registry and no place for the result; none of its texts is a template. */
  object: ImageBuilder;
  /** scripts/common and scripts/qcow of the manifests. */
  scripts: { common: ScriptFile[]; qcow: ScriptFile[] };
  /** A lock file (image-builder lock) with the packages that were installed. */
  lock: string;
  /** The container images that its disks carry, by digest; absent: none. */
  images?: readonly PinnedImage[];
  /** Whether the build had a lock file of its own; otherwise the packages are those that the repositories had. */
  locked: boolean;
  /** SOURCE_DATE_EPOCH, when it was set. Seconds. */
  sourceDateEpoch?: number;
  /** Fields of the object that are secret and left out. */
  withheld: string[];
}

/**
 * @param lock text of a lock file with what was installed
 * @param sourceDateEpoch SOURCE_DATE_EPOCH, when the build had one
 */
export function describeBuild(
  resolved: ResolvedBuild,
  lock: string,
  sourceDateEpoch?: number,
): BuildDescription {
  const { name, distribution, rootfs, qcows, bundle } = resolved;
  const withheld: string[] = [];
  const field = 'spec.build.rootfs';
  const build = {
    distribution: distribution.name,
    rootfs: {
      multistrap: describeMultistrap(resolved, `${field}.multistrap`, withheld),
      osconfig: describeOsconfig(rootfs.osconfig, `${field}.osconfig`, withheld),
      livecdcontent: rootfs.livecdcontent,
    },
    qcows: Object.fromEntries(
      Object.entries(qcows).map(([qcow, image]) => {
        const own = changedIn(image.osconfig, rootfs.osconfig);
        const osconfig = describeOsconfig(own, `spec.build.qcows.${qcow}.osconfig`, withheld);
        return [qcow, { osconfig, qcow: image.qcow }];
      }),
    ),
    bundle: {
      base: typeof bundle.base === 'object' ? pinned(bundle.base) : bundle.base,
      ...(bundle.builderImage !== undefined && { builderImage: bundle.builderImage }),
    },
  };
  return {
    object: {
      apiVersion: 'airshipit.org/v1alpha1',
      kind: 'ImageBuilder',
      metadata: { name },
      // The schema's types also know what is not resolved yet.
      spec: { build: build as NonNullable<ImageBuilder['spec']['build']> },
    },
    scripts: { common: rootfs.scripts, qcow: Object.values(qcows)[0]?.scripts ?? [] },
    lock,
    ...(resolved.preload?.images && { images: resolved.preload.images }),
    locked: resolved.lock !== undefined,
    ...(sourceDateEpoch !== undefined && { sourceDateEpoch }),
    withheld,
  };
}

/** A reference that means the same tomorrow. */
function pinned({ image, digest }: { image: string; digest?: string }): string {
  return digest === undefined || image.includes('@') ? image : `${image}@${digest}`;
}

function describeMultistrap(
  { distribution, rootfs: { multistrap } }: ResolvedBuild,
  field: string,
  withheld: string[],
): Record<string, unknown> {
  const { repos, debconf, snapshot, non_free_firmware, backports, ...variables } = multistrap;
  const choices = { ...(snapshot !== undefined && { snapshot }), non_free_firmware, backports };
  const isChosen = snapshot !== undefined || non_free_firmware || backports;
  const own = isChosen ? namesOfDistribution(distribution.name) : [];
  const others = repos.filter(({ name }) => !own.includes(name)).map(describeRepository);
  return {
    ...variables,
    // Choices shape the distribution's own repositories, and are refused beside a list that replaces those.
    ...(isChosen ? { ...choices, repos_append: others } : { repos: others }),
    debconf: debconf.map((selection, index) => {
      if (selection.type !== 'password') return selection;
      withheld.push(`${field}.debconf[${index}].value`);
      const { value: _, ...shown } = selection;
      return shown;
    }),
  };
}

function namesOfDistribution(name: string): string[] {
  const { data } = readDistribution(name);
  return [...data.repos.map((repository) => repository.name), data.backports];
}

function describeRepository(repository: ResolvedRepository): Record<string, unknown> {
  return { ...repositoryWithoutCredentials(repository), components: repository.components.join(' ') };
}

function describeOsconfig(
  osconfig: Partial<ResolvedOsconfig>,
  field: string,
  withheld: string[],
): Record<string, unknown> {
  const { user_management, fetch_from_url } = osconfig;
  return {
    ...osconfig,
    ...(fetch_from_url && {
      fetch_from_url: fetch_from_url.map((item, index) => {
        if (withoutCredentials(item.url) !== item.url) withheld.push(`${field}.fetch_from_url[${index}].url`);
        return osconfigWithoutCredentials({ fetch_from_url: [item] }).fetch_from_url[0];
      }),
    }),
    ...(user_management && {
      user_management: user_management.map(({ password_hash, ...user }, index) => {
        if (password_hash !== undefined) withheld.push(`${field}.user_management[${index}].password_hash`);
        return user;
      }),
    }),
  };
}

/** The variables of an image that are not those of the root file system. */
function changedIn(image: ResolvedOsconfig, common: ResolvedOsconfig): Partial<ResolvedOsconfig> {
  const changed = Object.entries(image).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(common[name as keyof ResolvedOsconfig]),
  );
  return Object.fromEntries(changed);
}
