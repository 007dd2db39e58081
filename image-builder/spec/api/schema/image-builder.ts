// The ImageBuilder object (airshipit.org/v1alpha1) as a JSON Schema; types.ts derives the TypeScript types from it.
import { Type } from 'typebox';
import { MAX_AGE_PATTERN, REQUIREMENTS } from '../../../attestation/trust-settings.ts';
import { MirrorList, strictObject } from './common.ts';
import { ImageTests } from './image-tests.ts';
import { KubernetesVariables } from './kubernetes.ts';
import { LivecdcontentVariables } from './livecdcontent.ts';
import { MultistrapVariables } from './multistrap.ts';
import { OsconfigVariables } from './osconfig.ts';
import { QcowVariables } from './qcow.ts';

const Name = '^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$';

/** Name of an object of Kubernetes: a subdomain (RFC 1123). */
const ObjectName = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
/** Names of objects have 253 characters at most, and the catalogue of the artifacts has `-artifacts` after this one. */
const LONGEST_NAME = 253 - '-artifacts'.length;

/** A repository with its registry, without tag and digest. Docker Hub may be left out. */
const RepositoryName =
  '^((?:[A-Za-z0-9.-]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?/)?[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*)*$';

/** How catalogues are named and what their URLs are; the same for extracted and for built bundles. */
const CatalogueOptions = strictObject({
  imageBaseURL: Type.Optional(
    Type.String({
      pattern: '^https?://',
      description:
        'Base URL from which the deployment serves the QCOW files of the bundle, for example http://192.0.2.1/images; gives each artifact its url.',
    }),
  ),
  namePrefix: Type.Optional(
    Type.String({
      pattern: '^[a-z0-9][-a-z0-9_.]*$',
      maxLength: 63,
      description:
        'Prefix of the name of every catalogue, so that several ImageBuilders fit into one kustomization; for example blue-.',
    }),
  ),
  labels: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'Labels of the catalogues.' }),
  ),
  annotations: Type.Optional(
    Type.Record(Type.String(), Type.String(), { description: 'Annotations of the catalogues.' }),
  ),
});

/** `spec.bundle.trust`: what must be signed, and by whom. */
const BundleTrust = strictObject(
  {
    keys: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        'Public keys of which one must have signed, P-256 or Ed25519: in PEM (openssl pkey -in key.pem -pubout), or the base64 between its lines.',
    }),
    require: Type.Optional(
      Type.Array(Type.Union(REQUIREMENTS.map((one) => Type.Literal(one))), {
        minItems: 1,
        description:
          'What must be signed. signature: the bundle. provenance: what it was built from. sbom: its bills of materials. bootTest: that each disk has booted. Default: signature.',
      }),
    ),
    threshold: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'How many different keys must have signed the bundle. Default 1.',
      }),
    ),
    claims: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description:
          'What the signature must claim. Default: repository and tag of the reference, unless that has a digest.',
      }),
    ),
    maxAge: Type.Optional(
      Type.String({
        pattern: MAX_AGE_PATTERN,
        description: 'Oldest signature that counts: 90d, 12h, 30m, 600s. Default: any.',
      }),
    ),
    builder: Type.Optional(
      Type.String({ minLength: 1, description: 'builder.id that the provenance must name. Default: any.' }),
    ),
  },
  {
    description:
      'Take the bundle only when it is signed. Checked before anything of it is used. A policy of the machine may demand more.',
  },
);

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
              pattern: Name,
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

const InlineOrText = Type.Unsafe<string | Record<string, unknown>>({ type: ['string', 'object'] });

/** `spec.build`: build the images and the bundle. */
export const BuildSpec = strictObject(
  {
    distribution: Type.Optional(
      Type.String({
        pattern: Name,
        description: 'Distribution whose packages and repositories are the defaults; default debian-13.',
      }),
    ),
    profile: Type.Optional(
      Type.String({ pattern: Name, description: 'A directory of profiles/, which overlays the manifests.' }),
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
        Type.String({ pattern: Name }),
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
    bundle: Type.Optional(
      strictObject({
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
            pattern: RepositoryName,
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
        attest: Type.Optional(
          strictObject(
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
          ),
        ),
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
      }),
    ),
    whenMissing: Type.Optional(
      Type.Union([Type.Literal('Build'), Type.Literal('Trigger'), Type.Literal('Fail')], {
        description:
          'What a render does if no store has the result. Build (default): build it and wait. Trigger: start the build in the background and fail until it is finished. Fail: fail with the command that builds it.',
      }),
    ),
    store: Type.Optional(
      strictObject(
        {
          repository: Type.String({
            pattern: RepositoryName,
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
      ),
    ),
    bootTest: Type.Optional(
      strictObject({
        timeout: Type.Optional(
          Type.Integer({
            minimum: 0,
            description:
              'Seconds to wait for the login prompt, or for the end of the tests; 0: no boot test. Default: 0, with kubernetes or tests 1200.',
          }),
        ),
        firmware: Type.Optional(
          Type.Array(Type.Union([Type.Literal('bios'), Type.Literal('uefi')]), { minItems: 1 }),
        ),
        kubernetes: Type.Optional(
          Type.Literal('preflight', {
            description:
              'What kubeadm inside of the booted image has to prove. preflight: its checks, and a dry run of init.',
          }),
        ),
      }),
    ),
    tests: Type.Optional(ImageTests),
    executor: Type.Optional(
      strictObject(
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
      ),
    ),
  },
  { description: 'Build the images and the bundle.' },
);

/** metadata of a Kubernetes object, as far as this API reads it. */
const ObjectMetadata = Type.Object({
  name: Type.String({
    pattern: ObjectName,
    maxLength: LONGEST_NAME,
    description:
      'Name of the build; the catalogue of the artifacts is <name>-artifacts. For example node-image.',
  }),
  namespace: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
});

/** The whole object. Exactly one of `spec.bundle` and `spec.build` is required; validate.ts checks that. */
export const ImageBuilder = strictObject({
  apiVersion: Type.Literal('airshipit.org/v1alpha1'),
  kind: Type.Literal('ImageBuilder'),
  metadata: ObjectMetadata,
  spec: strictObject({
    bundle: Type.Optional(BundleSpec),
    build: Type.Optional(BuildSpec),
    catalogue: Type.Optional(CatalogueOptions),
  }),
});
