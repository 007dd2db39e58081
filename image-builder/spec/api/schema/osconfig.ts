// Variables of the operating system's configuration. The names are those of the predecessor's role `osconfig`.
import { type Static, Type } from 'typebox';
import {
  AbsolutePath,
  AccountName,
  BooleanText,
  Content,
  FileMode,
  Ignored,
  LineText,
  NumberText,
  RunContexts,
  ScalarText,
  strictObject,
  UserName,
} from './common.ts';

/** What modprobe takes for a module's name. */
const ModuleName = Type.String({ pattern: '^[A-Za-z0-9_-]+$', description: 'Name of a kernel module.' });
const nameAndValue = strictObject({ name: LineText({ minLength: 1 }), value: Type.Optional(ScalarText) });
/** Text that stands between white space in a line. */
const Word = Type.String({ pattern: '^[^\\s\\p{Cc}]+$', description: 'Text without white space.' });

const Sysctl = strictObject({ name: Word, value: ScalarText });

/** A directory of the image. */
export const Directory = strictObject({
  name: AbsolutePath,
  permissions: Type.Optional(FileMode),
  owner: Type.Optional(AccountName),
  group: Type.Optional(AccountName),
  run_contexts: Type.Optional(RunContexts),
});

/** A file of the image, with its content. */
export const File = strictObject({
  name: AbsolutePath,
  file_content: Content,
  permissions: Type.Optional(FileMode),
  owner: Type.Optional(AccountName),
  group: Type.Optional(AccountName),
  run_contexts: Type.Optional(RunContexts),
});

/** A systemd unit: its content, a drop-in for it, or just whether it is enabled. */
export const SystemdUnit = strictObject({
  name: Type.String({
    pattern: '^[A-Za-z0-9:_@\\\\][A-Za-z0-9:_.@\\\\-]*$',
    description: 'Unit name; a name without a unit suffix is a service.',
  }),
  file_name: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9:_@\\\\][A-Za-z0-9:_.@\\\\-]*$',
      description: 'File name of the unit or drop-in if it differs from the name; not a path.',
    }),
  ),
  file_content: Type.Optional(Type.String({ description: 'The whole unit file.' })),
  override: Type.Optional(Type.String({ description: 'A drop-in that extends the unit.' })),
  enabled: Type.Optional(BooleanText),
  force: Type.Optional(BooleanText),
  masked: Type.Optional(BooleanText),
  run_contexts: Type.Optional(RunContexts),
});

/** A script that runs in the image's root file system. */
export const UserScript = strictObject({
  name: Type.Optional(LineText()),
  file_content: Type.String({ description: 'The script, with its #! line.' }),
  run_contexts: Type.Optional(RunContexts),
});

/** Owner and mode of a path that some package has made. */
export const FilePermission = strictObject({
  name: AbsolutePath,
  permissions: Type.Optional(FileMode),
  owner: Type.Optional(AccountName),
  group: Type.Optional(AccountName),
  recurse: Type.Optional(BooleanText),
  run_contexts: Type.Optional(RunContexts),
});

/** A user account. */
export const User = strictObject({
  name: UserName,
  uid: Type.Optional(NumberText),
  group: Type.Optional(AccountName),
  groups: Type.Optional(Type.Array(AccountName)),
  shell: Type.Optional(AbsolutePath),
  home: Type.Optional(AbsolutePath),
  comment: Type.Optional(LineText()),
  system: Type.Optional(BooleanText),
  state: Type.Optional(Type.Union([Type.Literal('present'), Type.Literal('absent')])),
  password_hash: Type.Optional(
    Type.String({
      pattern: '^[$!*][^:\\s\\p{Cc}]*$',
      description: 'A crypt(5) hash; never a password. Left out of profiles.',
    }),
  ),
  password: Type.Optional(
    Type.String({
      pattern: '^([$!*][^:\\s\\p{Cc}]*)?$',
      description: "Airship's name for password_hash; empty: none.",
    }),
  ),
  password_lock: Type.Optional(BooleanText),
  ssh_authorized_keys: Type.Optional(Type.Array(LineText())),
  run_contexts: Type.Optional(RunContexts),
});

/** A file that is downloaded into the image. */
export const FetchFromUrl = strictObject({
  url: Type.String({ pattern: '^https?://[^\\s\\p{Cc}]+$' }),
  dest: Type.Optional(AbsolutePath),
  checksum: Type.Optional(Type.String({ pattern: '^(sha256|sha384|sha512):[0-9a-f]+$' })),
  permissions: Type.Optional(FileMode),
  owner: Type.Optional(AccountName),
  group: Type.Optional(AccountName),
  use_proxy: Type.Optional(BooleanText),
  run_contexts: Type.Optional(RunContexts),
});

/** A line of limits.conf(5). */
export const Limit = strictObject({
  name: Type.Optional(LineText()),
  domain: Word,
  type: Type.Union([Type.Literal('soft'), Type.Literal('hard'), Type.Literal('-')]),
  item: Word,
  value: Type.Unsafe<string | number>({
    type: ['string', 'integer'],
    pattern: '^(unlimited|infinity|-?[0-9]+)$',
    description: 'A number or "unlimited".',
  }),
});

/** Seconds; with -1 GRUB waits forever. */
const GrubTimeout = Type.Unsafe<string | number>({
  ...NumberText,
  minimum: -1,
  pattern: '^(-1|0|[1-9][0-9]{0,9})$',
  description: 'Seconds; -1: wait forever.',
});

/** GRUB's command, or its options as the predecessor lists them: `[{name: speed, value: 115200}]`. */
const GrubSerialCommand = Type.Unsafe<string | { name: string; value?: string | number }[]>({
  type: ['string', 'array'],
  pattern: '^[A-Za-z0-9 =.,:_-]*$',
  items: strictObject({
    name: Type.String({ pattern: '^[a-z]+$', description: 'GRUB option without its dashes.' }),
    value: Type.Optional(
      Type.Unsafe<string | number>({ type: ['string', 'integer'], pattern: '^[A-Za-z0-9,._-]+$' }),
    ),
  }),
  description: "GRUB's serial command, or a list of its options.",
});

/** Variables of the role `osconfig`; all optional, defaults are those of the role. */
export const OsconfigVariables = strictObject(
  {
    kernel: Type.Optional(
      strictObject({
        modules: Type.Optional(
          strictObject({
            load: Type.Optional(
              Type.Array(strictObject({ name: ModuleName, args: Type.Optional(ScalarText) })),
            ),
            blacklist: Type.Optional(Type.Array(strictObject({ name: ModuleName }))),
          }),
        ),
      }),
    ),
    banners: Type.Optional(
      strictObject({ login: Type.Optional(Type.String()), motd: Type.Optional(Type.String()) }),
    ),
    kubelet: Type.Optional(strictObject({ extra_systemd_args: Type.Optional(Type.Array(nameAndValue)) })),
    grub: Type.Optional(
      strictObject({
        GRUB_TIMEOUT: Type.Optional(GrubTimeout),
        GRUB_CMDLINE_LINUX_DEFAULT: Type.Optional(Type.Array(nameAndValue)),
        GRUB_SERIAL_COMMAND: Type.Optional(GrubSerialCommand),
      }),
    ),
    grub_cmdline_linux_default_append: Type.Optional(Type.Array(nameAndValue)),
    kdump_tools: Type.Optional(
      strictObject({
        crashkernel: Type.Optional(
          Type.String({
            pattern: '^[A-Za-z0-9:,@.+-]*$',
            description: 'Memory for the crash kernel, as on the kernel command line: 768M.',
          }),
        ),
      }),
    ),
    limits: Type.Optional(Type.Array(Limit)),
    limits_append: Type.Optional(Type.Array(Limit)),
    sysctl: Type.Optional(Type.Array(Sysctl)),
    sysctl_append: Type.Optional(Type.Array(Sysctl)),
    directories: Type.Optional(Type.Array(Directory)),
    directories_append: Type.Optional(Type.Array(Directory)),
    files: Type.Optional(Type.Array(File)),
    files_append: Type.Optional(Type.Array(File)),
    systemd: Type.Optional(Type.Array(SystemdUnit)),
    systemd_append: Type.Optional(Type.Array(SystemdUnit)),
    user_scripts: Type.Optional(Type.Array(UserScript)),
    user_scripts_append: Type.Optional(Type.Array(UserScript)),
    file_permissions: Type.Optional(Type.Array(FilePermission)),
    file_permissions_append: Type.Optional(Type.Array(FilePermission)),
    user_management: Type.Optional(Type.Array(User)),
    user_management_append: Type.Optional(Type.Array(User)),
    fetch_from_url: Type.Optional(Type.Array(FetchFromUrl)),
    fetch_from_url_append: Type.Optional(Type.Array(FetchFromUrl)),
    rootfs_root: Type.Optional(Ignored),
    default_run_context: Type.Optional(Ignored),
    qcow_run_context: Type.Optional(Ignored),
    user_scripts_dir_default: Type.Optional(Ignored),
    user_scripts_dir_qcow: Type.Optional(Ignored),
  },
  { description: "Variables of the operating system's configuration." },
);
export type OsconfigVariables = Static<typeof OsconfigVariables>;
