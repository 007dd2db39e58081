// Databases of vulnerabilities, VEX documents, bills of materials, descriptions of builds and signed statements.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signStatement } from '../../../image-builder/attestation/envelope.ts';
import { parseSigningKey } from '../../../image-builder/attestation/keys.ts';
import { examine } from '../../../image-builder/attestation/policy.ts';
import { PREDICATES, writeStatement } from '../../../image-builder/attestation/statement.ts';
import { buildFactsOf } from '../../../image-builder/build/rebuild/provenance.ts';
import { readDescription } from '../../../image-builder/build/rebuild/read-description.ts';
import { materialsOf } from '../../../image-builder/compare/materials.ts';
import { askDatabase } from '../../../image-builder/scan/database.ts';
import { indexOf } from '../../../image-builder/scan/package-index.ts';
import { packagesOf } from '../../../image-builder/scan/packages.ts';
import { vexStatements } from '../../../image-builder/scan/vex.ts';
import { osvRecord, sbomOf } from '../../unit/scan/documents.ts';
import { zipOf } from '../../unit/scan/zip-file.ts';
import { type Target, Violation } from '../campaign.ts';
import { mutateBytes, mutateJson, mutateText } from '../mutate.ts';
import type { Random } from '../random.ts';

const SBOM = JSON.parse(sbomOf([{ name: 'bash', version: '5.2-1' }]).toString());
const RECORD = osvRecord('DEBIAN-CVE-2026-1', 'bash', [{ introduced: '0' }, { fixed: '5.3-1' }], {
  severity: [
    { type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' },
    { type: 'CVSS_V4', score: 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:L/VA:N/SC:N/SI:N/SA:N' },
  ],
});
const TRACKER = { bash: { 'CVE-2026-1': { releases: { trixie: { status: 'open', urgency: 'low' } } } } };
const OPEN_VEX = {
  '@context': 'https://openvex.dev/ns/v0.2.0',
  statements: [
    { vulnerability: { name: 'CVE-2026-1' }, products: [{ '@id': 'pkg:deb/debian/bash' }], status: 'fixed' },
  ],
};
const CSAF = {
  document: { category: 'csaf_vex' },
  product_tree: { branches: [{ product: { product_id: 'a' } }] },
  vulnerabilities: [{ cve: 'CVE-2026-1', product_status: { fixed: ['a'] } }],
};

const SYNTAX = '{}[]",:0e-\\u \n';
const json = (random: Random, value: unknown): string => {
  const text = JSON.stringify(random.once(5) ? value : mutateJson(random, value)) ?? '';
  return random.once(4) ? mutateText(random, text, SYNTAX) : text;
};

const disk = { ...packagesOf(Buffer.from(JSON.stringify(SBOM)), 'a'), disk: 'a' };
const index = indexOf([disk], { ...disk.system, codename: 'trixie' });

interface Document {
  kind: 'database' | 'vex' | 'sbom' | 'description';
  content: Buffer;
}

export const advisories: Target<Document> = {
  name: 'advisories',
  generate: (random) => {
    const [kind, value] = random.pick([
      ['database', RECORD],
      ['database', [RECORD, RECORD]],
      ['database', TRACKER],
      ['database', undefined],
      ['vex', OPEN_VEX],
      ['vex', CSAF],
      ['sbom', SBOM],
      ['description', DESCRIPTION],
    ] as const);
    if (value !== undefined) return { kind, content: Buffer.from(json(random, value)) };
    return { kind, content: mutateBytes(random, zipOf({ 'a.json': JSON.stringify(RECORD), 'b.json': '{' })) };
  },
  check: async ({ kind, content }) => {
    if (kind === 'vex') vexStatements(content, 'the document');
    else if (kind === 'sbom') {
      materialsOf([{ disk: 'a', content }]);
      packagesOf(content, 'a');
    } else {
      const directory = mkdtempSync(join(tmpdir(), 'image-builder-fuzz-'));
      try {
        if (kind === 'description') await readDescription(content, {}, directory);
        else {
          const file = join(directory, 'database');
          writeFileSync(file, content);
          await askDatabase(file, index);
        }
      } finally {
        rmSync(directory, { recursive: true });
      }
    }
  },
};

const DESCRIPTION = {
  object: {
    apiVersion: 'airshipit.org/v1alpha1',
    kind: 'ImageBuilder',
    metadata: { name: 'a' },
    spec: { build: { rootfs: { multistrap: { packages: ['dbus'], repos: [] } }, qcows: { a: {} } } },
  },
  scripts: { common: [{ name: 'a.sh', content: '#!/bin/sh\n' }], qcow: [] },
  lock: 'version: 1\narchitectures: {}\n',
  locked: true,
  withheld: [],
};

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = parseSigningKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), undefined, 'key');
const HEX = 'a'.repeat(64);
const STATEMENT = {
  subject: [{ name: 'a', digest: { sha256: HEX }, annotations: { tag: 'v1' } }],
  predicateType: PREDICATES.provenance,
  predicate: {
    buildDefinition: {
      externalParameters: { variables: { sha256: HEX } },
      internalParameters: { recipes: { rootfs: HEX } },
      resolvedDependencies: [
        { mediaType: 'application/vnd.airshipit.image-builder.build.v1+json', digest: { sha256: HEX } },
      ],
    },
    runDetails: {
      builder: { id: 'x', version: { a: '1' } },
      byproducts: [
        { name: 'a', digest: { sha256: HEX }, annotations: { 'org.airshipit.image-builder.manifest': 'b' } },
      ],
    },
  },
};

/** A bundle that was changed, or one of a changed statement that the trusted key has signed. */
export const statements: Target<{ content: Buffer; isSigned: boolean }> = {
  name: 'statements',
  generate: (random) => {
    const signed = signStatement(writeStatement(STATEMENT), key);
    if (random.once(2))
      return { content: Buffer.from(json(random, JSON.parse(signed.toString()))), isSigned: false };
    return {
      content: signStatement(
        Buffer.from(json(random, JSON.parse(writeStatement(STATEMENT).toString()))),
        key,
      ),
      isSigned: true,
    };
  },
  check: ({ content, isSigned }) => {
    const { trusted } = examine([{ name: 'it', content }], `sha256:${HEX}`, [key.publicKey], new Set(['b']));
    for (const { statement } of trusted) {
      buildFactsOf(statement.predicate);
      // Whatever was done to the bundle, what counts is what was signed.
      if (!isSigned && JSON.stringify(statement) !== JSON.stringify(STATEMENT))
        throw new Violation('another statement than the signed one is trusted');
    }
  },
};
