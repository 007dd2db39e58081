// What a booted image is tested for (spec.build.tests).
import { type Static, Type } from 'typebox';
import { AbsolutePath, AccountName, FileMode, LineText, ScalarText, strictObject } from './common.ts';

const Word = Type.String({ pattern: '^[^\\s\\p{Cc}]+$', description: 'Text without white space.' });
const UnitName = Type.String({
  pattern: '^[A-Za-z0-9:_@\\\\][A-Za-z0-9:_.@\\\\-]*$',
  description: 'Unit name; without the suffix of a kind of unit it is a service.',
});

/** `spec.build.tests`: facts that hold in the booted image, else nothing is published. */
export const ImageTests = strictObject(
  {
    packages: Type.Optional(
      Type.Array(
        strictObject({
          name: Type.String({ pattern: '^[a-z0-9][a-z0-9+.-]+$', description: 'Name of a package.' }),
          version: Type.Optional(Word),
          installed: Type.Optional(Type.Boolean({ description: 'Default true.' })),
        }),
      ),
    ),
    files: Type.Optional(
      Type.Array(
        strictObject({
          path: AbsolutePath,
          exists: Type.Optional(Type.Boolean({ description: 'Default true.' })),
          mode: Type.Optional(FileMode),
          owner: Type.Optional(AccountName),
          group: Type.Optional(AccountName),
          contains: Type.Optional(LineText({ minLength: 1, description: 'Text in one of its lines.' })),
        }),
      ),
    ),
    units: Type.Optional(
      Type.Array(
        strictObject({
          name: UnitName,
          active: Type.Optional(Type.Boolean()),
          enabled: Type.Optional(Type.Boolean()),
        }),
      ),
    ),
    sysctl: Type.Optional(Type.Array(strictObject({ name: Word, value: ScalarText }))),
    kernelArguments: Type.Optional(
      Type.Array(LineText({ minLength: 1 }), {
        description: 'Arguments on the kernel command line: quiet, iommu=pt.',
      }),
    ),
    mounts: Type.Optional(
      Type.Array(
        strictObject({
          path: AbsolutePath,
          type: Type.Optional(Type.String({ pattern: '^[a-z0-9.]+$', description: 'ext4, xfs, ...' })),
        }),
      ),
    ),
    ports: Type.Optional(
      Type.Array(
        strictObject({
          port: Type.Integer({ minimum: 1, maximum: 65535 }),
          protocol: Type.Optional(
            Type.Union([Type.Literal('tcp'), Type.Literal('udp')], { description: 'Default: tcp.' }),
          ),
          listening: Type.Optional(Type.Boolean({ description: 'Default true.' })),
        }),
      ),
    ),
    commands: Type.Optional(
      Type.Array(
        strictObject({
          command: Type.String({ minLength: 1, description: 'For /bin/sh, as root. Expected: status 0.' }),
          name: Type.Optional(LineText({ minLength: 1, description: 'Default: the command.' })),
          output: Type.Optional(
            Type.String({ description: 'Everything that it prints, but for white space around it.' }),
          ),
          timeout: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 3600, description: 'Seconds. Default: 60.' }),
          ),
        }),
      ),
    ),
    failedUnits: Type.Optional(
      Type.Array(UnitName, {
        description:
          'Units that may fail. Tested in any case as soon as there are tests: no others have failed.',
      }),
    ),
    bootSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 86400,
        description: 'Seconds from the start of the kernel until systemd has started everything, at most.',
      }),
    ),
    cloudInit: Type.Optional(
      Type.Union([Type.Literal('done'), Type.Literal('disabled')], {
        description: 'The status of cloud-init at the end.',
      }),
    ),
  },
  { description: 'What must hold in the booted image before it is published.' },
);
export type ImageTests = Static<typeof ImageTests>;
