// Variables of one QCOW: its size, partitions and file systems. The names are those of the predecessor's role `qcow`.
import { type Static, Type } from 'typebox';
import { BooleanText, Ignored, LineText, NumberText, strictObject } from './common.ts';
import { UserScript } from './osconfig.ts';

/** As parted writes it: MB and GB are powers of ten. */
const POSITION = '^[0-9]+(\\.[0-9]+)?(MiB|GiB|TiB|MB|GB|TB|%)$';

/** A partition; the order in the list is the order of the partition numbers. */
export const Partition = strictObject({
  mount: Type.String({
    pattern: '^(none|swap|/[^\\p{Cc}\\p{Zl}\\p{Zp}]*)$',
    description: 'Mount point, "swap", or "none".',
  }),
  mount_order: Type.Optional(NumberText),
  part_start: Type.String({ pattern: POSITION, description: 'For example 1MiB.' }),
  part_end: Type.String({ pattern: POSITION, description: 'For example 516MiB or 100%.' }),
  flags: Type.Optional(
    Type.Array(
      Type.Union([
        Type.Literal('bios_grub'),
        Type.Literal('boot'),
        Type.Literal('esp'),
        Type.Literal('swap'),
        Type.Literal('legacy_boot'),
        Type.Literal('lvm'),
      ]),
    ),
  ),
  filesystem: Type.Optional(
    strictObject({
      type: Type.Union([
        Type.Literal('ext4'),
        Type.Literal('xfs'),
        Type.Literal('vfat'),
        Type.Literal('swap'),
      ]),
      fstab: Type.Optional(
        strictObject({
          options: Type.Optional(LineText({ minLength: 1 })),
          dump: Type.Optional(NumberText),
          fsck: Type.Optional(NumberText),
        }),
      ),
    }),
  ),
});
export type Partition = Static<typeof Partition>;

/** Variables of the role `qcow`; all optional, defaults are those of the role. */
export const QcowVariables = strictObject(
  {
    img_name: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$',
        description: 'File name, with or without .qcow2; default: the key of the QCOW.',
      }),
    ),
    qcow_capacity: Type.Optional(
      Type.Unsafe<string | number>({
        type: ['string', 'integer'],
        minimum: 1024 * 1024,
        maximum: Number.MAX_SAFE_INTEGER,
        pattern: '^[0-9]+([.][0-9]+)?([MmGgTt]|MiB|GiB|TiB)$|^[1-9][0-9]*$',
        description: 'Virtual size, for example 19G (binary units); a bare number is bytes.',
      }),
    ),
    src: Type.Optional(Ignored),
    dst: Type.Optional(Ignored),
    nbd_build_dir: Type.Optional(Ignored),
    img_output_dir: Type.Optional(Ignored),
    qcow_compress: Type.Optional(BooleanText),
    qcow_compression_type: Type.Optional(Type.Union([Type.Literal('zstd'), Type.Literal('zlib')])),
    partitions: Type.Optional(Type.Array(Partition, { minItems: 1 })),
    qcow_container_runtime_scripts: Type.Optional(
      Type.Array(UserScript, { description: 'Scripts that run last in the root file system of this QCOW.' }),
    ),
  },
  { description: 'Variables of one QCOW.' },
);
export type QcowVariables = Static<typeof QcowVariables>;
