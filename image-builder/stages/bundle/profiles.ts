// The profiles of a build: every variable that the images were built with, as the predecessor's consumers read them.
// Pure. What only names the building machine is not among them, and neither is what must stay secret.
import { createHash } from 'node:crypto';
import { PROFILES_DIRECTORY, type Profile } from '../../bundle/model.ts';
import {
  osconfigWithoutCredentials,
  repositoryWithoutCredentials,
} from '../../spec/variables/credentials.ts';
import type { ResolvedBuild } from '../../spec/variables/resolved.ts';
import type {
  ResolvedDebconfSelection,
  ResolvedRepository,
} from '../../spec/variables/resolved-multistrap.ts';
import type { ResolvedOsconfig } from '../../spec/variables/resolved-osconfig.ts';
import type { InstalledPackages } from '../rootfs/rootfs-entry.ts';
import { kubernetesOf } from './installed-kubernetes.ts';

/** Packages whose installed versions a profile tells, where the image has them. */
const KEY_PACKAGES =
  /^(linux-image-.*|kubelet|kubeadm|kubectl|kubernetes-client|containerd(\.io)?|cri-o|docker-ce|systemd|cloud-init)$/;

/** What the profiles tell of a build. */
type ProfiledBuild = Pick<ResolvedBuild, 'distribution' | 'rootfs' | 'qcows' | 'bundle'>;

/** profile_multistrap: the variables of the root file system. */
export function multistrapProfile(resolved: ProfiledBuild, packages: InstalledPackages): Profile {
  return profile('profile_multistrap', variablesOf(resolved, resolved.rootfs.osconfig, packages));
}

/**
 * profile_qcow_<name>: every variable that a QCOW was made with, so those of the root file system too, with the
 * QCOW's own osconfig.
 */
export function qcowProfile(name: string, resolved: ProfiledBuild, packages: InstalledPackages): Profile {
  const image = resolved.qcows[name];
  if (!image) throw new TypeError(`no QCOW ${name}`);
  const variables = variablesOf(resolved, image.osconfig, packages);
  return profile(`profile_qcow_${name}`, { ...variables, ...image.qcow });
}

function variablesOf(
  { distribution, rootfs, bundle }: ProfiledBuild,
  osconfig: ResolvedOsconfig,
  packages: InstalledPackages,
): Record<string, unknown> {
  const { multistrap, livecdcontent } = rootfs;
  const kubernetes = kubernetesOf(multistrap, packages);
  return {
    distribution: distribution.name,
    ...multistrap,
    ...(kubernetes && { kubernetes }),
    // The predecessor's name.
    ubuntu_packages: multistrap.packages,
    debconf: multistrap.debconf.map(withoutPassword),
    repos: multistrap.repos.map(publicRepository),
    ...withoutSecrets(osconfig),
    ...livecdcontent,
    // Of the machine that Ansible ran for, as the predecessor's profiles have it: it never was another.
    inventory_hostname_short: 'localhost',
    ...(bundle.builderImage !== undefined && { image_builder_image: bundle.builderImage }),
    ...kernelVersion(packages),
    installed_versions: Object.fromEntries(
      Object.entries(packages)
        .filter(([name]) => KEY_PACKAGES.test(name))
        .map(([name, { version }]) => [name, version]),
    ),
  };
}

/** The version that `uname -r` tells on a node. */
function kernelVersion(packages: InstalledPackages): { kernel_version?: string } {
  const versions = Object.keys(packages).flatMap((name) => /^linux-image-(\d.*)$/.exec(name)?.[1] ?? []);
  const newest = versions.sort().at(-1);
  return newest === undefined ? {} : { kernel_version: newest };
}

/** A key is recorded by its digest: the full key says no more, and is longer than everything else. */
function publicRepository({ keyring, ...repository }: ResolvedRepository): Record<string, unknown> {
  return {
    ...repositoryWithoutCredentials(repository),
    ...(keyring !== undefined && { keyring_digest: digestOfKeyring(keyring) }),
  };
}

/** `sha256:<hex>` of the keyring as a file. */
function digestOfKeyring(keyring: string): string {
  const binary = /^base64:(.*)$/s.exec(keyring)?.[1];
  const content = binary === undefined ? Buffer.from(keyring) : Buffer.from(binary, 'base64');
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function profile(name: string, variables: Record<string, unknown>): Profile {
  return {
    path: `${PROFILES_DIRECTORY}/${name}.json`,
    name,
    json: `${JSON.stringify(variables, undefined, 1)}\n`,
  };
}

function withoutPassword({ value, ...selection }: ResolvedDebconfSelection) {
  return selection.type === 'password' ? selection : { ...selection, value };
}

/** Hashes of passwords are declared secret: a profile is published. */
function withoutSecrets(osconfig: ResolvedOsconfig): Record<string, unknown> {
  return {
    ...osconfigWithoutCredentials(osconfig),
    user_management: osconfig.user_management.map(({ password_hash: _, ...user }) => user),
  };
}
