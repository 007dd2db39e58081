// What the regular expressions of the schema ask for, in words.
import { FILE_MODE, IMAGE_REPOSITORY, MIRROR, NAME, OBJECT_NAME, ONE_LINE, REPOSITORY } from './patterns.ts';

/** By the expression; short ones that explain themselves are left out. */
const WORDS: Readonly<Record<string, string>> = {
  [NAME]: 'lower-case letters and digits, with "-", "_" or "." only between them',
  [REPOSITORY]:
    'a lower-case repository without tag or digest, such as registry.example.org/site/qcow-bundle',
  [OBJECT_NAME]: 'a DNS name: lower-case letters and digits, with "-" and "." only between them',
  [ONE_LINE]: 'text on one line, without control characters',
  [MIRROR]: 'a URI, such as http://deb.debian.org/debian',
  '^(0|[1-9][0-9]{0,9})$': 'digits',
  '^(-1|0|[1-9][0-9]{0,9})$': 'seconds, or -1',
  '^(unlimited|infinity|-?[0-9]+)$': 'a number or "unlimited"',
  '^(?:[^\\p{Cc}]|\\s)*$': 'names of packages',
  [FILE_MODE]: 'three or four octal digits in quotes, such as "0755", or u=rwx,go=rx',
  '^/(?!.*(^|/)\\.\\.(/|$))[^\\p{Cc}\\p{Zl}\\p{Zp}]*$': 'an absolute path without ".."',
  '^[a-z_0-9][a-z0-9_.-]*\\$?$': 'the name of a user or group, or a number',
  '^[a-z_][a-z0-9_.-]*\\$?$': 'the name of a user',
  '^https?://[^\\s\\p{Cc}]+$': 'a URL that begins with http:// or https://',
  '^https?://': 'a URL that begins with http:// or https://',
  '^/[^\\p{Cc}\\p{Zl}\\p{Zp}]*$': 'an absolute path',
  '^/profiles/': 'a path that begins with /profiles/',
  '^https?://[^\\s\\p{Cc}?#@]+$': 'a URL that begins with http:// or https://, without a login, "?" and "#"',
  '^v?1\\.[0-9]{1,3}(?:\\.[0-9]{1,3}(?:-[0-9A-Za-z.+~]+)?)?$': 'a version such as 1.37, 1.37.2 or 1.37.2-1.1',
  '^(?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?/[a-z0-9._/-]+(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$':
    'an image with its registry, such as registry.k8s.io/pause:3.10.2',
  '^default$|^(?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?/[a-z0-9._/-]+(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?$':
    'default, or an image with its registry, such as registry.k8s.io/pause:3.10.2',
  [IMAGE_REPOSITORY]: 'a registry and perhaps a path in it, such as registry.example.org/k8s',
  '^sha256:[0-9a-f]{64}$': 'sha256: and 64 hexadecimal digits',
  '^(sha256|sha384|sha512):[0-9a-f]+$': 'sha256:, sha384: or sha512: and hexadecimal digits',
  '^[a-z0-9][a-z0-9+.-]+$': 'the name of a package',
  '^[^\\s\\p{Cc}]+/[^\\s\\p{Cc}]+$': 'a question, such as locales/default_environment_locale',
  '^v?[0-9][0-9A-Za-z.+:~-]*$': 'a version, such as 1.34.2',
  '^[A-Za-z0-9:_@\\\\][A-Za-z0-9:_.@\\\\-]*$': 'the name of a unit, not a path',
  '^[$!*][^:\\s\\p{Cc}]*$': 'a hash as crypt(5) writes it, "!" or "*"',
  '^([$!*][^:\\s\\p{Cc}]*)?$': 'a hash as for password_hash, or nothing',
  '^(none|swap|/[^\\p{Cc}\\p{Zl}\\p{Zp}]*)$': 'an absolute path, swap or none',
  '^[0-9]+(\\.[0-9]+)?(MiB|GiB|TiB|MB|GB|TB|%)$': 'a position on the disk, such as 512MiB, 4.5GiB or 100%',
  '^[0-9]+([.][0-9]+)?([MmGgTt]|MiB|GiB|TiB)$|^[1-9][0-9]*$': 'a size, such as 19G or 20480MiB',
  '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$': 'a quantity of Kubernetes, such as 500m or 4Gi',
  '^[A-Za-z0-9][A-Za-z0-9._-]*$': 'a file name of letters, digits, ".", "_" and "-"',
  '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$': 'a tag: up to 128 letters, digits, "_", "." and "-"',
};

/** What must match, as the object of a sentence; undefined for an expression without words. */
export function patternInWords(pattern: string): string | undefined {
  return Object.hasOwn(WORDS, pattern) ? WORDS[pattern] : undefined;
}
