// The ImageBuilder object (airshipit.org/v1alpha1) as a JSON Schema; types.ts derives the TypeScript types from it.
import { Type } from 'typebox';
import { OBJECT_NAME } from '../patterns.ts';
import { BundleSpec } from './bundle.ts';
import { CatalogueOptions } from './catalogue.ts';
import { strictObject } from './common.ts';
import { BuildSpec } from './spec-build.ts';

/** Names of objects have 253 characters at most, and the catalogue of the artifacts has `-artifacts` after this one. */
const LONGEST_NAME = 253 - '-artifacts'.length;

/** metadata of a Kubernetes object, as far as this API reads it. */
const ObjectMetadata = Type.Object({
  name: Type.String({
    pattern: OBJECT_NAME,
    maxLength: LONGEST_NAME,
    description:
      'Name of the build; the catalogue of the artifacts is <name>-artifacts. For example node-image.',
  }),
  namespace: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
});

/** The whole object. Exactly one of `spec.bundle`, `spec.bundles`, `spec.build` and `spec.items` is required; validate.ts checks that. */
export const ImageBuilder = strictObject({
  apiVersion: Type.Literal('airshipit.org/v1alpha1'),
  kind: Type.Literal('ImageBuilder'),
  metadata: ObjectMetadata,
  spec: strictObject({
    bundle: Type.Optional(BundleSpec),
    bundles: Type.Optional(
      Type.Record(Type.String({ pattern: OBJECT_NAME, maxLength: LONGEST_NAME }), BundleSpec, {
        description:
          'Read the catalogues of many bundles at once, each by a name that its catalogues begin with: <name>-artifacts.',
        additionalProperties: false,
        minProperties: 1,
      }),
    ),
    build: Type.Optional(BuildSpec),
    items: Type.Optional(
      strictObject(
        {
          labelSelector: Type.Optional(
            Type.String({
              description: 'Those with these labels, for example tier=edge,site in (a, b). Default: all.',
            }),
          ),
        },
        {
          description:
            'As a transformer, do what the ImageBuilder objects among the items say, by one process for all of them. What catalogue says holds for those that do not say it themselves.',
        },
      ),
    ),
    catalogue: Type.Optional(CatalogueOptions),
  }),
});
