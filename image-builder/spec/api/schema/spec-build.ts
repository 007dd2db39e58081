// The images to build and what becomes of them (spec.build).
import { Type } from 'typebox';
import { NAME } from '../patterns.ts';
import { BootTest } from './boot-test.ts';
import { MirrorList, strictObject } from './common.ts';
import { Executor } from './executor.ts';
import { ImageTests } from './image-tests.ts';
import { KubernetesVariables } from './kubernetes.ts';
import { LivecdcontentVariables } from './livecdcontent.ts';
import { MultistrapVariables } from './multistrap.ts';
import { OsconfigVariables } from './osconfig.ts';
import { QcowVariables } from './qcow.ts';
import { SharedStore } from './shared-store.ts';
import { WrittenBundle } from './written-bundle.ts';

const InlineOrText = Type.Unsafe<string | Record<string, unknown>>({ type: ['string', 'object'] });

/** `spec.build`: build the images and the bundle. */
export const BuildSpec = strictObject(
  {
    distribution: Type.Optional(
      Type.String({
        pattern: NAME,
        description: 'Distribution whose packages and repositories are the defaults; default debian-13.',
      }),
    ),
    profile: Type.Optional(
      Type.String({ pattern: NAME, description: 'A directory of profiles/, which overlays the manifests.' }),
    ),
    manifests: Type.Optional(
      Type.String({ description: 'Directory of variable files, relative to the working directory.' }),
    ),
    qcowManifests: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Directory with a subdirectory of variable files for each QCOW, relative to the working directory; default: the directory of the manifests with the object's name, if that begins with qcow-bundle, otherwise their qcow-bundle.",
      }),
    ),
    mirror: Type.Optional(
      Type.Unsafe<string | string[]>({
        ...MirrorList,
        description:
          "Mirror of the distribution, or a list, of which the first that works is used; default: the mirror that this machine's apt uses.",
      }),
    ),
    lock: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Lock file with the exact packages, relative to the working directory; `image-builder lock` writes it.',
      }),
    ),
    kubernetes: Type.Optional(KubernetesVariables),
    rootfs: Type.Optional(
      strictObject({
        multistrap: Type.Optional(MultistrapVariables),
        osconfig: Type.Optional(OsconfigVariables),
        livecdcontent: Type.Optional(LivecdcontentVariables),
      }),
    ),
    qcows: Type.Optional(
      Type.Record(
        Type.String({ pattern: NAME }),
        strictObject({ osconfig: Type.Optional(OsconfigVariables), qcow: Type.Optional(QcowVariables) }),
        { description: 'QCOW images by name.', additionalProperties: false },
      ),
    ),
    iso: Type.Optional(
      strictObject({
        userData: Type.Optional(InlineOrText),
        networkData: Type.Optional(InlineOrText),
        metaData: Type.Optional(InlineOrText),
        outputFileName: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })),
      }),
    ),
    bundle: Type.Optional(WrittenBundle),
    whenMissing: Type.Optional(
      Type.Union([Type.Literal('Build'), Type.Literal('Trigger'), Type.Literal('Fail')], {
        description:
          'What a render does if no store has the result. Build (default): build it and wait. Trigger: start the build in the background and fail until it is finished. Fail: fail with the command that builds it.',
      }),
    ),
    store: Type.Optional(SharedStore),
    bootTest: Type.Optional(BootTest),
    tests: Type.Optional(ImageTests),
    executor: Type.Optional(Executor),
  },
  { description: 'Build the images and the bundle.' },
);
