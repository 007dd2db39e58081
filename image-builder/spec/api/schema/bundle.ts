// The bundle that an object takes its metadata from (spec.bundle).
import { Type } from 'typebox';
import { NAME } from '../patterns.ts';
import { BundleTrust } from './bundle-trust.ts';
import { strictObject } from './common.ts';

/** `spec.bundle`: take the metadata out of a bundle that exists. */
export const BundleSpec = strictObject(
  {
    image: Type.String({
      minLength: 1,
      description:
        'Registry reference with tag and/or digest, oci:<dir>[:tag], oci-archive:<file>[:tag], docker-archive:<file>[:tag] or docker-daemon:<ref>.',
    }),
    profiles: Type.Optional(
      Type.Array(
        strictObject({
          path: Type.String({ pattern: '^/profiles/', description: 'Path of the profile in the bundle.' }),
          name: Type.Optional(
            Type.String({
              pattern: NAME,
              description: 'Name of the catalogue; default: the file name without .json.',
            }),
          ),
        }),
        { minItems: 1, description: 'Default: every /profiles/profile_*.json of the bundle.' },
      ),
    ),
    verify: Type.Optional(
      Type.Union([Type.Literal('partial'), Type.Literal('full')], {
        description:
          'full: read every layer to its end. partial: accept parts of layers that were not verified. Default: only what a digest in the reference covers; partial for a tag alone.',
      }),
    ),
    trust: Type.Optional(BundleTrust),
  },
  { description: 'Read the catalogues from a published bundle.' },
);
