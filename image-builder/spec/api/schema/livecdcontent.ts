// Variables of the live system that the ISO boots. The names are those of the predecessor's role `livecdcontent`.
import { type Static, Type } from 'typebox';
import { Ignored, LineText, NumberText, strictObject } from './common.ts';

/** Variables of the role `livecdcontent`; all optional, defaults are those of the role. */
export const LivecdcontentVariables = strictObject(
  {
    mksquashfs_compression: Type.Optional(
      Type.Union([
        Type.Literal('zstd'),
        Type.Literal('lz4'),
        Type.Literal('gzip'),
        Type.Literal('xz'),
        Type.Literal('lzo'),
      ]),
    ),
    mksquashfs_threads: Type.Optional(NumberText),
    squashfs_timeout: Type.Optional(NumberText),
    grub_menu_timeout: Type.Optional(NumberText),
    root_chroot: Type.Optional(Ignored),
    root_image: Type.Optional(Ignored),
    livecd_cmdline: Type.Optional(LineText({ description: 'Kernel command line of the live system.' })),
  },
  { description: 'Variables of the live system.' },
);
export type LivecdcontentVariables = Static<typeof LivecdcontentVariables>;
