// The registry that results of stages are taken from and pushed to (spec.build.store).
import { Type } from 'typebox';
import { REPOSITORY } from '../patterns.ts';
import { strictObject } from './common.ts';

/** `spec.build.store`: which registry, and whose results of it are used. */
export const SharedStore = strictObject(
  {
    repository: Type.String({
      pattern: REPOSITORY,
      description: 'Repository for the results of stages, for example registry.example.org/site/store.',
    }),
    trust: Type.Optional(
      strictObject(
        {
          keys: Type.Optional(
            Type.Array(
              Type.String({
                description:
                  'Ed25519 public key in PEM, or the base64 between its lines; one of those the machine trusts.',
              }),
            ),
          ),
          registry: Type.Optional(
            Type.Literal(true, {
              description: "Trust whoever may write to the repository, if the machine's policy does.",
            }),
          ),
        },
        { description: "Whose results are used, among those the machine's policy trusts." },
      ),
    ),
    push: Type.Optional(
      Type.Boolean({
        description: 'Push results built here. Default: true if IMAGE_BUILDER_SIGNING_KEY names a key.',
      }),
    ),
  },
  { description: 'A registry through which machines share the results of stages.' },
);
