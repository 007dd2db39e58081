// What Metal3's releases take as the image of their objects. The fragments are written from their sources; where a
// directory with the published CustomResourceDefinitions is there (METAL3_CRDS), objects are checked against those, too.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv, { type ErrorObject } from 'ajv';
import { parseAllDocuments } from 'yaml';

type Schema = Record<string, unknown>;
interface MetalObject {
  apiVersion: string;
  kind: string;
  spec: Record<string, unknown>;
}

const checksums = {
  checksum: { type: 'string', maxLength: 512 },
  checksumType: { enum: ['sha256', 'sha512'] },
};
const formats = { enum: ['raw', 'qcow2', 'vdi', 'vmdk', 'live-iso'] };
const url = { type: 'string', minLength: 1, maxLength: 512, pattern: '^(https?|oci)://' };
/** In a registry the digest is the checksum (CAPM3 from v1.14, BMO from v0.14); by HTTP Ironic wants one. */
const checksumRule = {
  if: { properties: { url: { pattern: '^oci://' } } },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { not: { anyOf: [{ required: ['checksum'] }, { required: ['checksumType'] }] } },
  else: { required: ['checksum', 'checksumType'] },
};
const image = (properties: Schema) => ({
  type: 'object',
  required: ['url'],
  additionalProperties: false,
  properties: { url, ...checksums, ...properties },
  ...checksumRule,
});

/** `spec.image` by apiVersion and kind: CAPM3 v1.13 and v1.14, BMO v0.14. */
const IMAGES: Record<string, Schema> = {
  'infrastructure.cluster.x-k8s.io/v1beta1 Metal3MachineTemplate': image({ format: formats }),
  'infrastructure.cluster.x-k8s.io/v1beta2 Metal3MachineTemplate': image({ diskFormat: formats }),
  'metal3.io/v1alpha1 BareMetalHost': image({ format: formats, ociAuthSecretName: { type: 'string' } }),
};

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });

/** What is wrong with the image of an object of Metal3, and with the object as a whole where its definition is there. */
export function metal3Errors(object: MetalObject): string[] {
  const name = `${object.apiVersion} ${object.kind}`;
  const schema = IMAGES[name];
  if (schema === undefined) throw new Error(`${name} is no object of Metal3 that is known here`);
  const template = object.spec.template as { spec: { image: unknown } } | undefined;
  const validate = ajv.compile(schema);
  const errors = validate(template ? template.spec.image : object.spec.image) ? [] : (validate.errors ?? []);
  const whole = definitions()[name];
  const validateWhole = whole && ajv.compile(whole);
  const others = validateWhole && !validateWhole(object) ? (validateWhole.errors ?? []) : [];
  return [...errors, ...others].map(
    ({ instancePath, message, params }: ErrorObject) =>
      `${instancePath} ${message} ${JSON.stringify(params)}`,
  );
}

/** Schemas of whole objects; none where nobody has put the definitions. */
export function definitions(): Record<string, Schema> {
  const directory = process.env.METAL3_CRDS ?? join(__dirname, '../../../../shared/metal3-crds');
  if (!existsSync(directory)) return {};
  const found: Record<string, Schema> = {};
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.yaml'))) {
    for (const document of parseAllDocuments(readFileSync(join(directory, file), 'utf8'))) {
      const { spec } = document.toJS() ?? {};
      for (const version of spec?.versions ?? []) {
        found[`${spec.group}/${version.name} ${spec.names.kind}`] = version.schema.openAPIV3Schema;
      }
    }
  }
  return found;
}
