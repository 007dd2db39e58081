// The statements that a build makes about its bundle, less those that the registry already has.
import { signStatement } from '../../attestation/envelope.ts';
import type { SigningKey } from '../../attestation/keys.ts';
import { examine } from '../../attestation/policy.ts';
import {
  PREDICATES,
  SBOM_MANIFEST_ANNOTATION,
  type Statement,
  type Subject,
  writeStatement,
} from '../../attestation/statement.ts';
import { timeStamp } from '../../base/time-stamp.ts';
import type { Digest } from '../../oci/digest.ts';
import type { ImageSource } from '../../oci/image-source.ts';
import { parseManifest } from '../../oci/manifest.ts';
import type { Descriptor } from '../../oci/model.ts';
import type { RegistryReference } from '../../oci/reference.ts';
import type { NewReferrer } from '../../oci/referrers/attached.ts';
import { diskManifest } from '../disk-index.ts';
import type { Artifacts, QcowArtifact } from '../model.ts';
import { SPDX } from '../sbom-referrer.ts';
import { listSboms, openSbom, type SbomDocument } from '../sboms.ts';
import { bootPredicate, type PassedBootTest } from './boot-predicate.ts';
import { descriptionReferrer } from './build-description.ts';
import { findStatements } from './find-statements.ts';
import { claimsOf, subjectFor } from './sign.ts';
import { PREDICATE_TYPE_ANNOTATION, statementReferrer } from './statement-referrer.ts';

/** What the statements are about. */
export interface AttestRequest {
  /** The bundle as it is published: an index with its disks, or the image alone; with its bills of materials. */
  source: ImageSource;
  /** Where the bundle is published, with its tag. */
  target: RegistryReference;
  artifacts: Artifacts;
  key: SigningKey;
  signature: boolean;
  sbom: boolean;
  /** SLSA provenance without the bills of materials. */
  provenance?: Provenance;
  /** The description of the build, which the provenance names and which is published with it. */
  description?: Buffer;
  /** Which disks have booted by which firmware, by the name of the disk. */
  bootTests?: PassedBootTest[];
  /** Seconds since the epoch. */
  now: number;
}

/** Predicate of https://slsa.dev/provenance/v1, as far as it is completed here. */
export interface Provenance {
  buildDefinition: Record<string, unknown>;
  runDetails: Record<string, unknown>;
}

/** A statement, and the manifests that it is attached to. */
interface Draft extends Statement {
  manifests: Descriptor[];
}

/**
 * The statements that are demanded and that no holder of the key has made there yet.
 * @param there the same bundle where it goes; it may not be there yet
 * @throws RegistryError
 */
export async function newStatements(request: AttestRequest, there: ImageSource): Promise<NewReferrer[]> {
  const { key, now } = request;
  const { descriptor } = await request.source.root();
  const drafts = await draftsOf(request);
  const said = await saidThere(
    there,
    descriptor.digest,
    key,
    new Set(drafts.map(({ predicateType }) => predicateType)),
  );
  const created = timeStamp(now);
  const unsaid = drafts.filter((draft) => !said.has(identityOf(draft)) && !said.has(draft.predicateType));
  const statements = unsaid.flatMap(({ manifests, subject, predicateType, predicate }) => {
    const dated = subject.map((one) =>
      one.annotations ? { ...one, annotations: { ...one.annotations, created } } : one,
    );
    const content = signStatement(writeStatement({ subject: dated, predicateType, predicate }), key);
    return manifests.map((manifest) => statementReferrer(manifest, { content, predicateType }));
  });
  const provenance = unsaid.find(({ predicateType }) => predicateType === PREDICATES.provenance);
  const { description, artifacts } = request;
  if (!provenance || !description) return statements;
  // Attached to the bundle's image in an index as well, so that the image alone can be rebuilt; a disk alone is not the product of
  // a build.
  const disks = new Set(withDigests(artifacts).map((disk) => diskManifest(disk).descriptor.digest));
  const described = provenance.manifests.filter(({ digest }) => !disks.has(digest));
  return [...statements, ...described.map((manifest) => descriptionReferrer(manifest, description))];
}

const withDigests = ({ qcows }: Artifacts): QcowArtifact[] =>
  Object.values(qcows).filter((one): one is QcowArtifact => one.sha256 !== undefined);

async function draftsOf(request: AttestRequest): Promise<Draft[]> {
  const { source, target, artifacts, provenance, bootTests } = request;
  const { descriptor, content } = await source.root();
  const parsed = parseManifest(content, descriptor.mediaType, `the manifest of ${source.name}`);
  const root = { ...descriptor, mediaType: parsed.mediaType };
  const manifests = [root, ...('manifests' in parsed ? parsed.manifests : [])];
  const name = `${target.registry}/${target.repository}`;
  const claims = claimsOf(target);
  const subjectsOf = (some: readonly Descriptor[]): Subject[] =>
    some.map(({ digest }) => subjectFor(digest, claims));
  const disks = withDigests(artifacts);
  const fileSubject = ({ file, sha256 }: QcowArtifact): Subject => ({ name: file, digest: { sha256 } });
  const sboms = request.sbom || provenance ? await documentsOf(source, root.digest) : [];
  const drafts: Draft[] = [];
  const add = (
    predicateType: string,
    predicate: Record<string, unknown>,
    to: Descriptor[],
    files: QcowArtifact[],
  ) =>
    drafts.push({
      predicateType,
      predicate,
      manifests: to,
      subject: [...subjectsOf(to).map((one) => ({ name, ...one })), ...files.map(fileSubject)],
    });

  if (request.signature)
    drafts.push({
      ...{ predicateType: PREDICATES.signature, predicate: {} },
      ...{ manifests, subject: subjectsOf(manifests) },
    });
  if (provenance) {
    const byproducts = sboms.map(({ file, manifest, document }) => ({
      name: `${file.replace(/\.qcow2$/, '')}.spdx.json`,
      mediaType: SPDX,
      digest: { sha256: document.descriptor.digest.replace(/^sha256:/, '') },
      annotations: { [SBOM_MANIFEST_ANNOTATION]: manifest },
    }));
    const runDetails = { ...provenance.runDetails, byproducts };
    add(PREDICATES.provenance, { buildDefinition: provenance.buildDefinition, runDetails }, manifests, disks);
  }
  if (request.sbom)
    for (const { file, document } of sboms) {
      const described = disks.filter((disk) => disk.file === file);
      const own = new Set<Digest>([
        root.digest,
        ...described.map((disk) => diskManifest(disk).descriptor.digest),
      ]);
      const spdx = JSON.parse((await document.read()).toString('utf8'));
      add(
        PREDICATES.sbom,
        spdx,
        manifests.filter(({ digest }) => own.has(digest)),
        described,
      );
    }
  if (bootTests) {
    const booted = new Set(bootTests.map(({ disk }) => disk));
    const tested = Object.entries(artifacts.qcows).flatMap(([disk]) => (booted.has(disk) ? [disk] : []));
    const files = disks.filter((disk) => tested.some((one) => artifacts.qcows[one]?.file === disk.file));
    const nameOf = (disk: string) => (artifacts.qcows[disk]?.file ?? disk).replace(/\.qcow2$/, '');
    add(PREDICATES.bootTest, bootPredicate(bootTests, nameOf), manifests, files);
  }
  return drafts;
}

/** The bills of materials attached to the bundle, by disk name. */
async function documentsOf(source: ImageSource, digest: Digest) {
  const found: { file: string; manifest: string; document: SbomDocument }[] = [];
  for await (const sbom of listSboms(source, digest))
    if (sbom.file !== undefined)
      found.push({
        file: sbom.file,
        manifest: sbom.descriptor.digest,
        document: await openSbom(source, sbom),
      });
  return found.sort((a, b) => (a.file < b.file ? -1 : 1));
}

/**
 * What the holder of the key has stated there, as {@link identityOf} identifies it. Bills of materials are large, so it is enough
 * that they are listed.
 */
async function saidThere(
  there: ImageSource,
  digest: Digest,
  { publicKey }: SigningKey,
  kinds: ReadonlySet<string>,
): Promise<Set<string>> {
  const said = new Set<string>();
  const small = new Set([...kinds].filter((kind) => kind !== PREDICATES.sbom));
  if (small.size < kinds.size)
    for await (const { annotations } of there.referrers?.(digest) ?? [])
      if (annotations?.[PREDICATE_TYPE_ANNOTATION] === PREDICATES.sbom) said.add(PREDICATES.sbom);
  for await (const found of findStatements(there, digest, small)) {
    if ('problem' in found) continue;
    for (const { statement } of examine([found], digest, [publicKey]).trusted)
      said.add(identityOf(statement));
  }
  return said;
}

/** Identifies a statement by its kind and its subject, whatever it says and whenever it was made. */
function identityOf({ predicateType, subject }: Statement): string {
  const about = subject.map(({ name, digest, annotations = {} }) => {
    const { created: _, ...claims } = annotations;
    return [name, digest, Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1))];
  });
  return JSON.stringify([predicateType, about]);
}
