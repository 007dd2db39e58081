// How the catalogues are named, and where their images are served (spec.catalogue).
import { Type } from 'typebox';
import { strictObject } from './common.ts';

/** How catalogues are named and what their URLs are; the same for extracted and for built bundles. */
export const CatalogueOptions = strictObject({
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
