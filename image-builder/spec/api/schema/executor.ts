// Where the tools of a build run (spec.build.executor).
import { Type } from 'typebox';
import { strictObject } from './common.ts';

/** `spec.build.executor`: this machine, or a container of a builder image. */
export const Executor = strictObject(
  {
    local: Type.Optional(strictObject({}, { description: "This machine's own tools." })),
    container: Type.Optional(
      strictObject(
        {
          engine: Type.Optional(
            Type.Union([Type.Literal('docker'), Type.Literal('podman'), Type.Literal('nerdctl')], {
              description: 'Default: the first that answers.',
            }),
          ),
          image: Type.String({
            minLength: 1,
            description: 'The builder image, preferably with its digest.',
          }),
          network: Type.Optional(
            Type.String({
              description: "Network of the stages that fetch; default: the engine's own.",
            }),
          ),
        },
        { description: 'The tools of the builder image, in a container with default capabilities.' },
      ),
    ),
  },
  { description: 'Where the build runs; default local.' },
);
