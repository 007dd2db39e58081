// The KRMFunctionDefinition of the function: what catalogues of functions and editors know it by
// (https://github.com/kubernetes/enhancements/tree/master/keps/sig-cli/2906-kustomize-function-catalog).
import { version } from '../../image-builder/embedded/release.ts';
import { imageBuilderSchema } from '../../image-builder/embedded/schema.ts';

type Schema = Record<string, unknown>;

/** The definition as a plain object. */
export function functionDefinition(): Record<string, unknown> {
  return {
    apiVersion: 'config.kubernetes.io/v1alpha1',
    kind: 'KRMFunctionDefinition',
    metadata: { name: 'image-builder' },
    spec: {
      group: 'airshipit.org',
      names: { kind: 'ImageBuilder' },
      description:
        'Builds node images for bare-metal Kubernetes, or reads a published bundle, and returns VariableCatalogues.',
      publisher: 'airshipit.org',
      versions: [
        {
          name: 'v1alpha1',
          idempotent: true,
          schema: { openAPIV3Schema: openApiSchema(imageBuilderSchema) },
          runtime: {
            exec: { platforms: [{ os: 'linux', arch: 'amd64', bin: 'image-builder-fn' }] },
          },
          usage: 'image-builder-fn --help',
          license: 'Apache-2.0',
        },
      ],
      tags: [`image-builder-${version}`],
    },
  };
}

/**
 * A JSON Schema in the dialect of OpenAPI 3.0, which has neither `const`, nor lists of types, nor `patternProperties`.
 */
export function openApiSchema(schema: Schema): Schema {
  const { const: constant, anyOf, type, properties, items, patternProperties, ...rest } = schema;
  const choices = (anyOf as Schema[] | undefined)?.map((branch) => branch.const);
  if (choices?.every((choice) => choice !== undefined)) return { ...rest, type: 'string', enum: choices };
  const converted: Schema = { ...rest };
  if (Array.isArray(type)) {
    const { description, ...constraints } = converted;
    const branches = type.map((name) =>
      openApiSchema({ type: name, ...constraintsOf(name, { ...constraints, items }) }),
    );
    return { ...(description !== undefined && { description }), anyOf: branches };
  }
  if (type !== undefined) converted.type = type;
  if (constant !== undefined) converted.enum = [constant];
  if (items !== undefined) converted.items = openApiSchema(items as Schema);
  if (anyOf !== undefined) converted.anyOf = (anyOf as Schema[]).map(openApiSchema);
  if (properties !== undefined) {
    const entries = Object.entries(properties as Record<string, Schema>);
    converted.properties = Object.fromEntries(entries.map(([name, child]) => [name, openApiSchema(child)]));
  }
  const [values] = Object.values((patternProperties ?? {}) as Record<string, Schema>);
  if (values !== undefined) converted.additionalProperties = openApiSchema(values);
  return converted;
}

/** The constraints that say something about one of several types. */
function constraintsOf(type: string, { pattern, items, enum: choices }: Schema): Schema {
  const ofType = (choices as unknown[] | undefined)?.filter((choice) => typeof choice === type);
  return {
    ...(type === 'string' && pattern !== undefined && { pattern }),
    ...(type === 'array' && items !== undefined && { items }),
    ...(ofType && { enum: ofType }),
  };
}
