// Reads the provenance that a build has signed (evidence.ts). What signed it is trusted to say it, not to say it well: other
// builders write other fields.
import { isRecord, recordsIn } from '../../base/record.ts';
import { DESCRIPTION_TYPE } from '../../bundle/evidence/build-description.ts';
import type { Digest } from '../../oci/digest.ts';

/** What a provenance tells of a build. */
export interface BuildFacts {
  /** `builder.id`. */
  builder: string;
  /** Digest of the description of the build. */
  description: Digest;
  /** Hash of everything that decides the bundle. */
  variables: string;
  /** By stage; what was asked for of it, and with which code. */
  recipes: Record<string, string>;
  /** Versions of tools, and of `image-builder` itself. */
  versions: Record<string, string>;
  /** SHA-256 of the bills of materials in hex, by file name. */
  sboms: Record<string, string>;
}

/** @returns undefined when it does not tell how to build it again */
export function buildFactsOf(predicate: Record<string, unknown>): BuildFacts | undefined {
  const definition = fields(predicate.buildDefinition);
  const details = fields(predicate.runDetails);
  const builder = fields(details.builder);
  const described = recordsIn(definition.resolvedDependencies).find(
    ({ mediaType }) => mediaType === DESCRIPTION_TYPE,
  );
  const description = sha256Of(described);
  const variables = fields(fields(definition.externalParameters).variables).sha256;
  if (description === undefined || typeof variables !== 'string' || typeof builder.id !== 'string')
    return undefined;
  return {
    builder: builder.id,
    description: `sha256:${description}`,
    variables,
    recipes: texts(fields(definition.internalParameters).recipes),
    versions: texts(builder.version),
    sboms: Object.fromEntries(
      recordsIn(details.byproducts).flatMap((one): [string, string][] => {
        const sha256 = sha256Of(one);
        return typeof one.name === 'string' && sha256 !== undefined ? [[one.name, sha256]] : [];
      }),
    ),
  };
}

const fields = (value: unknown): Record<string, unknown> => (isRecord(value) ? value : {});

function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields(value)).filter((one): one is [string, string] => typeof one[1] === 'string'),
  );
}

function sha256Of(resource: Record<string, unknown> | undefined): string | undefined {
  const { sha256 } = fields(resource?.digest);
  return typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : undefined;
}
