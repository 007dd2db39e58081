// Building blocks that the schemas of the variables share.
import { type TSchema, Type } from 'typebox';
import { MIRROR, ONE_LINE } from '../patterns.ts';

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

/** A count that the predecessor's variable files also write as text. */
export const NumberText = Type.Unsafe<string | number>({
  type: ['string', 'number'],
  pattern: '^[0-9]+$',
  description: 'A count, as a number or as text.',
});

/** A switch that the predecessor's variable files also write as text (`"true"`). */
export const BooleanText = Type.Unsafe<string | boolean>({
  type: ['string', 'boolean'],
  enum: [true, false, 'true', 'false', 'yes', 'no', 'on', 'off'],
});

/** A list of lines that are not empty. */
export const StringList = Type.Array(LineText({ minLength: 1 }));

/** A base URI, or several that serve the same: the first one that works is used. */
export const MirrorList = Type.Unsafe<string | string[]>({
  type: ['string', 'array'],
  pattern: MIRROR,
  items: { type: 'string', pattern: MIRROR },
  minItems: 1,
});

/** A file mode, octal as text: `"0755"`. A number would have lost its base on the way through YAML. */
export const FileMode = Type.String({
  pattern: '^[0-7]{3,4}$',
  description: 'Octal file mode as text: "0755".',
});

/** An absolute path in the image that stays below its root. */
export const AbsolutePath = Type.String({
  pattern: '^/(?!.*(^|/)\\.\\.(/|$))[^\\p{Cc}\\p{Zl}\\p{Zp}]*$',
  description: 'An absolute path in the image, without "..".',
});

/** A user or group name, or a numeric id as text. */
export const AccountName = Type.String({
  pattern: '^[a-z_0-9][a-z0-9_.-]*\\$?$',
  description: 'Name of a user or group, or a numeric id as text.',
});

/** Where an item of osconfig runs: in the root file system that all images share, or in each QCOW. */
export const RunContexts = Type.Array(Type.Union([Type.Literal('common'), Type.Literal('qcow')]), {
  description: 'Contexts in which the item runs; default [common].',
  minItems: 1,
});
