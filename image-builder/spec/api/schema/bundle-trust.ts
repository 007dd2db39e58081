// Which signatures a bundle must have to be taken (spec.bundle.trust).
import { Type } from 'typebox';
import {
  MAX_AGE_PATTERN,
  REQUIREMENTS,
  TEST_CONFIGURATION_PATTERN,
} from '../../../attestation/trust-settings.ts';
import { strictObject } from './common.ts';

/** `spec.bundle.trust`: what must be signed, and by whom. */
export const BundleTrust = strictObject(
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
    buildType: Type.Optional(
      Type.String({ minLength: 1, description: 'buildType that the provenance must name. Default: any.' }),
    ),
    testConfiguration: Type.Optional(
      Type.String({
        pattern: TEST_CONFIGURATION_PATTERN,
        description:
          'Digest of what boot tests must have been run with: firmware, architecture, tests in the image. image-builder verify shows it. Default: anything.',
      }),
    ),
  },
  {
    description:
      'Take the bundle only when it is signed. Checked before anything of it is used. A policy of the machine may demand more.',
  },
);
