// Where the built bundle goes, what it stands on, and what is said about it (spec.build.bundle).
import { Type } from 'typebox';
import { REPOSITORY } from '../patterns.ts';
import { strictObject } from './common.ts';

/** `spec.build.bundle.attest`: what is signed about it. */
const Attest = strictObject(
  {
    signature: Type.Optional(
      Type.Boolean({ description: 'Sign it for its repository and tag. Default true.' }),
    ),
    provenance: Type.Optional(
      Type.Boolean({
        description: 'Say what it was built from (SLSA provenance v1). Default true.',
      }),
    ),
    sbom: Type.Optional(
      Type.Boolean({ description: 'Sign the bill of materials of each disk. Default true.' }),
    ),
    bootTest: Type.Optional(
      Type.Boolean({
        description: 'Say that each disk has booted. Default: when there is a boot test.',
      }),
    ),
  },
  {
    description:
      'What is said about a bundle in a registry, signed with the key that IMAGE_BUILDER_SIGNING_KEY names (P-256 or Ed25519). The tag is moved when everything is there. Default: nothing is signed.',
  },
);

/** `spec.build.bundle`: the bundle that a build writes. */
export const WrittenBundle = strictObject({
  layout: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'OCI layout directory to write, relative to the working directory.',
    }),
  ),
  archive: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'OCI archive to write, relative to the working directory.',
    }),
  ),
  repository: Type.Optional(
    Type.String({
      pattern: REPOSITORY,
      description: 'Repository to push to, for example registry.example.org/site/qcow-bundle.',
    }),
  ),
  push: Type.Optional(
    Type.Boolean({
      description: 'false: do not push to the repository, keep the bundle in a layout. Default true.',
    }),
  ),
  disks: Type.Optional(
    Type.Boolean({
      description:
        "Also publish each QCOW as a disk for Ironic's oci:// under the same tag; the registry stores its bytes a second time.",
    }),
  ),
  attest: Type.Optional(Attest),
  base: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'The layers below the bundle. function (default): the function of this release and what it needs to run. none: nothing, the bundle is data only. Otherwise an image with a program `function`: a registry reference, oci:<dir>[:tag], oci-archive:<file>[:tag] or docker-archive:<file>[:tag].',
    }),
  ),
  builderImage: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Value of image_builder_image in the profiles. Default: executor.container.image, if it has a digest.',
    }),
  ),
  tag: Type.Optional(
    Type.String({ pattern: '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$', description: 'Default: latest.' }),
  ),
});
