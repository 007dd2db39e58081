// Building blocks that the schemas of the variables share.
import { type TSchema, Type } from 'typebox';
import { FILE_MODE, MIRROR, ONE_LINE } from '../patterns.ts';

/** An object that names all of its fields: an unknown field is a spelling mistake, not an extension. */
export const strictObject = <Properties extends Record<string, TSchema>>(
  properties: Properties,
  options: { description?: string } = {},
) => Type.Object(properties, { ...options, additionalProperties: false });

/** Text on one line. */
export const LineText = (options: { description?: string; minLength?: number } = {}) =>
  Type.String({ ...options, pattern: ONE_LINE });

/** A scalar that ends up as text in a line of a file, where `1`, `"1"` and `on` are all fine to write. */
export const ScalarText = Type.Unsafe<string | number | boolean>({
  type: ['string', 'number', 'boolean'],
  pattern: ONE_LINE,
});

/** The largest user id of Linux, and more than anything else that is counted here. */
const MAXIMUM = 2 ** 32 - 2;

/** A count that the predecessor's variable files also write as text; a leading zero would be octal in YAML 1.1. */
export const NumberText = Type.Unsafe<string | number>({
  type: ['string', 'integer'],
  minimum: 0,
  maximum: MAXIMUM,
  pattern: '^(0|[1-9][0-9]{0,9})$',
  description: 'A non-negative integer, as a number or as text.',
});

/** A switch that the predecessor's variable files also write as text (`"true"`). */
export const BooleanText = Type.Unsafe<string | boolean>({
  type: ['string', 'boolean'],
  enum: [true, false, ...['true', 'false', 'yes', 'no', 'on', 'off'].flatMap(spellings)],
});

/** As YAML 1.1, and so Ansible, reads it: `yes`, `Yes`, `YES`. */
function spellings(word: string): string[] {
  return [word, word[0]?.toUpperCase() + word.slice(1), word.toUpperCase()];
}

/** Packages: a list, or names separated by white space or commas. */
export const PackageList = Type.Unsafe<string[] | string>({
  type: ['array', 'string'],
  items: { type: 'string', minLength: 1, pattern: ONE_LINE },
  pattern: '^(?:[^\\p{Cc}]|\\s)*$',
});

/** A base URI, or several that serve the same: the first one that works is used. */
export const MirrorList = Type.Unsafe<string | string[]>({
  type: ['string', 'array'],
  pattern: MIRROR,
  items: { type: 'string', pattern: MIRROR },
  minItems: 1,
});

/** A file mode: octal text, also unquoted with its leading zero, or symbolic. The number 755 has lost its base. */
export const FileMode = Type.String({
  pattern: FILE_MODE,
  description: 'File mode: octal, "0755", or symbolic, u=rwx,go=rx',
});

/** Lines of a file; a number is its text. */
export const Content = Type.Unsafe<string | number>({ type: ['string', 'number'] });

/** An absolute path in the image that stays below its root. */
export const AbsolutePath = Type.String({
  pattern: '^/(?!.*(^|/)\\.\\.(/|$))[^\\p{Cc}\\p{Zl}\\p{Zp}]*$',
  description: 'An absolute path in the image, without "..".',
});

/** A name for useradd(8). */
export const UserName = Type.String({
  pattern: '^[a-z_][a-z0-9_.-]*\\$?$',
  description: 'Name of a user.',
});

/** A user or group name, or a numeric id. */
export const AccountName = Type.Unsafe<string | number>({
  type: ['string', 'integer'],
  minimum: 0,
  maximum: MAXIMUM,
  pattern: '^[a-z_0-9][a-z0-9_.-]*\\$?$',
  description: 'Name of a user or group, or a numeric id.',
});

/** Kept for the predecessor's files, in which it named a directory or a step of its own; nothing reads it. */
export const Ignored = Type.Unknown({
  description: 'Accepted for compatibility with Airship image-builder; has no effect.',
});

/** Where an item of osconfig runs: in the root file system that all images share, or in each QCOW. */
export const RunContexts = Type.Array(Type.Union([Type.Literal('common'), Type.Literal('qcow')]), {
  description: 'Contexts in which the item is applied; default [common] under rootfs, [qcow] under a QCOW.',
  minItems: 1,
});
