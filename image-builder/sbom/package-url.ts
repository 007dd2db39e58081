// Package URLs of Debian packages (https://github.com/package-url/purl-spec, types/deb), written as scanners compare them.
import type { InstalledPackage } from './installed-packages.ts';

/** The system that packages were made for, as os-release has it. */
export interface OperatingSystem {
  /** `ID`: `debian`, `ubuntu`. */
  id: string;
  /** `VERSION_ID`: `13`, `24.04`. */
  version: string;
}

/**
 * `pkg:deb/debian/login@1:4.16?arch=amd64&distro=debian-13&upstream=util-linux%402.41`. Advisories are filed under source
 * packages: `upstream` names it where it is another one, with its version where that differs.
 */
export function debPackageUrl(installed: InstalledPackage, { id, version }: OperatingSystem): string {
  const { source } = installed;
  const sameVersion = source.version === installed.version;
  const upstream = sameVersion ? source.name : `${source.name}@${source.version}`;
  const qualifiers = [
    ['arch', installed.architecture],
    ['distro', `${id}-${version}`],
    ...(sameVersion && source.name === installed.name ? [] : [['upstream', upstream]]),
  ].map(([key, value = '']) => `${key}=${encode(value).replaceAll('%3A', ':')}`);
  return `pkg:deb/${encode(id)}/${encode(installed.name)}@${encode(installed.version)}?${qualifiers.join('&')}`;
}

/** Of a file from an address, with its digest (types/generic). */
export function filePackageUrl(name: string, url: string, sha256: string | undefined): string {
  const checksum = sha256 === undefined ? '' : `checksum=sha256:${sha256}&`;
  return `pkg:generic/${encode(name)}?${checksum}download_url=${encode(url)}`;
}

/** Of a container image by its digest (types/oci). */
export function imagePackageUrl(name: string, digest: string): string {
  const last =
    name
      .split('/')
      .at(-1)
      ?.replace(/[:@].*$/, '') || 'image';
  return `pkg:oci/${encode(last.toLowerCase())}@${encode(digest)}`;
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
