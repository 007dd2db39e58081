// What the profiles of a bundle say: every variable exactly as the build used it, and what was really installed. Pure.
// No fact about the building machine and no secret gets in: both are left out by declaration, not by looking.
import type { ResolvedBuild, ResolvedOsconfig } from './types.ts';

/** Variables that never leave the build, by list. */
const SECRETS: Partial<Record<keyof ResolvedOsconfig, readonly string[]>> = {
  user_management: ['password_hash'],
};

/** Packages whose installed versions a profile tells, besides the kernel's. */
const KEY_PACKAGES = [
  'cloud-init',
  'containerd',
  'containerd.io',
  'cri-o',
  'docker-ce',
  'docker.io',
  'grub2-common',
  'kubeadm',
  'kubectl',
  'kubelet',
  'kubernetes-cni',
  'openssh-server',
  'runc',
  'systemd',
];

/** Versions of what is installed, by package name. */
type Installed = Readonly<Record<string, { version: string }>>;

/**
 * Data of profile_multistrap.json.
 * @param installed what the stage rootfs has installed.
 * @param builderImage reference of the image that built it; without one the variable is left out.
 */
export function multistrapProfile(
  { distribution, mirror, rootfs }: ResolvedBuild,
  installed: Installed,
  builderImage?: string,
): Record<string, unknown> {
  const { multistrap, osconfig, livecdcontent } = rootfs;
  const kernels = Object.keys(installed).flatMap((name) => /^linux-image-(\d.*)$/.exec(name)?.[1] ?? []);
  return {
    distribution: distribution.name,
    mirror: withoutCredentials(mirror),
    ...multistrap,
    repos: multistrap.repos.map((repository) => ({
      ...repository,
      source: withoutCredentials(repository.source),
      ...(repository.keyring_url === undefined
        ? {}
        : { keyring_url: withoutCredentials(repository.keyring_url) }),
    })),
    ...osconfigProfile(osconfig),
    ...livecdcontent,
    ...(builderImage === undefined ? {} : { image_builder_image: builderImage }),
    ...(kernels.length > 0 ? { kernel_version: kernels.sort().at(-1) } : {}),
    installed_packages: Object.fromEntries(
      KEY_PACKAGES.flatMap((name) => {
        const version = installed[name]?.version;
        return version === undefined ? [] : [[name, version]];
      }),
    ),
  };
}

/** Data of profile_qcow_<name>.json. @throws TypeError when the build has no such QCOW */
export function qcowProfile({ qcows }: Pick<ResolvedBuild, 'qcows'>, name: string): Record<string, unknown> {
  const image = qcows[name];
  if (image === undefined) throw new TypeError(`no QCOW ${name}`);
  return { ...osconfigProfile(image.osconfig), ...image.qcow };
}

function osconfigProfile(osconfig: ResolvedOsconfig): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(osconfig).map(([name, value]) => {
      const secrets = SECRETS[name as keyof ResolvedOsconfig];
      return [name, secrets && Array.isArray(value) ? value.map((item) => without(item, secrets)) : value];
    }),
  );
}

const without = (item: object, names: readonly string[]) =>
  Object.fromEntries(Object.entries(item).filter(([name]) => !names.includes(name)));

const withoutCredentials = (uri: string) => uri.replace(/^([a-z+]+:\/\/)[^/@]*@/, '$1');
