// The TypeScript types of the API, derived from its JSON Schema so that the two cannot drift apart.
import type { Static } from 'typebox';
import type { BundleSpec as Bundle } from './schema/bundle.ts';
import type { CatalogueOptions as Catalogue } from './schema/catalogue.ts';
import type { ImageBuilder as Whole } from './schema/image-builder.ts';
import type { BuildSpec as Build } from './schema/spec-build.ts';

export type { ImageTests } from './schema/image-tests.ts';
export type { KubernetesVariables } from './schema/kubernetes.ts';
export type { LivecdcontentVariables } from './schema/livecdcontent.ts';
export type { DebconfSelection, MultistrapVariables, Repository } from './schema/multistrap.ts';
export type { OsconfigVariables } from './schema/osconfig.ts';
export type { Partition, QcowVariables } from './schema/qcow.ts';

/** An ImageBuilder object (`airshipit.org/v1alpha1`). */
export type ImageBuilder = Static<typeof Whole>;
/** `spec.bundle`: extraction. */
export type BundleSpec = Static<typeof Bundle>;
/** `spec.build`: a build. */
export type BuildSpec = Static<typeof Build>;
/** `spec.catalogue`: how the result is named and addressed. */
export type CatalogueOptions = Static<typeof Catalogue>;
