// Variables of the base root file system. The names are those of the predecessor's role `multistrap`.
import { type Static, Type } from 'typebox';
import {
  BooleanText,
  Ignored,
  LineText,
  MirrorList,
  NumberText,
  PackageList,
  ScalarText,
  strictObject,
} from './common.ts';

/** An APT repository, as deb822 sources describe it (sources.list(5)). */
export const Repository = strictObject({
  name: LineText({
    minLength: 1,
    description: 'Names the repository in the image: /etc/apt/sources.list.d/<name>.sources.',
  }),
  source: Type.Unsafe<string | string[]>({
    ...MirrorList,
    description:
      'Base URI, for example http://mirror.example.org/debian; or a list, of which the first that works is used.',
  }),
  suite: LineText({ minLength: 1, description: 'Suite; ends in "/" for a flat repository.' }),
  components: Type.Optional(
    LineText({ description: 'Components separated by spaces; none for a flat repository.' }),
  ),
  packages: Type.Optional(PackageList),
  keyring_pkg: Type.Optional(
    LineText({ description: 'Debian package that contains the keys of the repository.' }),
  ),
  keyring_url: Type.Optional(
    Type.String({
      pattern: '^https?://[^\\s\\p{Cc}]+$',
      description: "URL of the repository's key.",
    }),
  ),
  keyring_checksum: Type.Optional(
    Type.String({
      pattern: '^sha256:[0-9a-f]{64}$',
      description: 'Digest of the file that keyring_url must serve: sha256:<hex>.',
    }),
  ),
  keyring: Type.Optional(Type.String({ description: 'The ASCII-armoured key itself.' })),
  keyring_file: Type.Optional(
    LineText({ description: 'File on the building machine that contains the keys.' }),
  ),
  omitdebsrc: Type.Optional(BooleanText),
  register_repo_with_rootfs: Type.Optional(BooleanText),
  check_valid_until: Type.Optional(
    Type.Unsafe<string | boolean>({
      ...BooleanText,
      description:
        'false: accept the repository although its Valid-Until has passed, as is the case for a snapshot. Default true.',
    }),
  ),
});
export type Repository = Static<typeof Repository>;

/** An answer to a question of debconf(7), as debconf-set-selections(1) takes it. */
export const DebconfSelection = strictObject({
  package: Type.String({ pattern: '^[a-z0-9][a-z0-9+.-]+$', description: 'The package that asks.' }),
  question: Type.String({
    pattern: '^[^\\s\\p{Cc}]+/[^\\s\\p{Cc}]+$',
    description: 'For example keyboard-configuration/layoutcode.',
  }),
  type: Type.Union(
    [
      Type.Literal('string'),
      Type.Literal('boolean'),
      Type.Literal('select'),
      Type.Literal('multiselect'),
      Type.Literal('text'),
      Type.Literal('note'),
      Type.Literal('password'),
    ],
    {
      description:
        'Type of the question; the answer to a password question appears in no profile, log or record.',
    },
  ),
  value: ScalarText,
});
export type DebconfSelection = Static<typeof DebconfSelection>;

/** An option of dpkg on a line of its own. */
const PathPattern = Type.String({ pattern: '^/[^\\p{Cc}\\p{Zl}\\p{Zp}]*$' });

/** Variables of the role `multistrap`; all optional, what is left out is taken from the distribution. */
export const MultistrapVariables = strictObject(
  {
    rootfs_root: Type.Optional(Ignored),
    rootfs_arch: Type.Optional(Type.Union([Type.Literal('amd64'), Type.Literal('arm64')])),
    k8s_version: Type.Optional(
      Type.String({
        pattern: '^v?[0-9][0-9A-Za-z.+:~-]*$',
        description: 'Version of the Kubernetes packages, for example 1.34.2-1.1.',
      }),
    ),
    kernel_base_pkg: Type.Optional(LineText()),
    kernel_headers_pkg: Type.Optional(LineText()),
    systemd_nic_names_policy: Type.Optional(LineText()),
    systemd_nic_alternative_names_policy: Type.Optional(LineText()),
    multistrap_retries: Type.Optional(NumberText),
    multistrap_retries_delay: Type.Optional(NumberText),
    packages: Type.Optional(PackageList),
    packages_append: Type.Optional(PackageList),
    ubuntu_packages: Type.Optional(PackageList),
    ubuntu_packages_append: Type.Optional(PackageList),
    unapproved_packages: Type.Optional(PackageList),
    path_exclude: Type.Optional(
      Type.Array(PathPattern, {
        description:
          'Files that dpkg leaves out of packages, now and in the running image: patterns of dpkg(1), such as /usr/share/man/*.',
      }),
    ),
    path_include: Type.Optional(
      Type.Array(PathPattern, { description: 'Files of path_exclude that dpkg installs all the same.' }),
    ),
    debconf: Type.Optional(
      Type.Array(DebconfSelection, {
        description: 'Answers to questions that packages ask during installation.',
      }),
    ),
    debconf_append: Type.Optional(Type.Array(DebconfSelection)),
    snapshot: Type.Optional(
      Type.String({
        pattern: '^[0-9]{8}T[0-9]{6}Z$',
        description:
          "Date in the distribution's snapshot service from which its packages are taken: 20261101T000000Z.",
      }),
    ),
    non_free_firmware: Type.Optional(BooleanText),
    backports: Type.Optional(BooleanText),
    repos: Type.Optional(Type.Array(Repository, { minItems: 1 })),
    repos_append: Type.Optional(Type.Array(Repository)),
  },
  { description: 'Variables of the base root file system.' },
);
export type MultistrapVariables = Static<typeof MultistrapVariables>;
