// What Metal3's current releases refuse in `image` of their objects, of which its schemas say little: Cluster API Provider
// Metal3 (CAPM3) from v1.13, Bare Metal Operator (BMO) from v0.14. Pure: whoever has rendered the objects hands them over.
import type { Finding } from '../base/diagnostics/error.ts';
import { isRecord } from '../base/record.ts';
import { type DoctorCode, type DoctorFinding, finding } from './finding.ts';

/** `image` of a BareMetalHost, a Metal3Machine or a Metal3MachineTemplate, as it was written. */
type Image = Readonly<Record<string, unknown>>;

/** Where objects of Metal3 have an image, by their kind. */
const PLACES: Readonly<Record<string, { group: string; path: readonly string[] }>> = {
  BareMetalHost: { group: 'metal3.io', path: ['spec', 'image'] },
  Metal3Machine: { group: 'infrastructure.cluster.x-k8s.io', path: ['spec', 'image'] },
  Metal3MachineTemplate: {
    group: 'infrastructure.cluster.x-k8s.io',
    path: ['spec', 'template', 'spec', 'image'],
  },
};

/** The findings of one rendered object; none for objects that are not Metal3's. */
export function checkMetal3(object: Readonly<Record<string, unknown>>, file: string): DoctorFinding[] {
  const place = Object.hasOwn(PLACES, String(object.kind)) ? PLACES[String(object.kind)] : undefined;
  const [group, version] = String(object.apiVersion).split('/');
  if (place === undefined || group !== place.group) return [];
  const image = place.path.reduce<unknown>(
    (value, name) => (isRecord(value) ? value[name] : undefined),
    object,
  );
  if (!isRecord(image)) return [];
  const { name } = (object.metadata ?? {}) as { name?: unknown };
  return checkImage(image, version === 'v1beta2').map(({ field, message, ...others }) => ({
    ...others,
    field: [...place.path, ...(field ? [field] : [])].join('.'),
    message: `${object.kind}/${name ?? ''} ${message}`,
    file,
  }));
}

function checkImage(image: Image, isV1beta2: boolean): DoctorFinding[] {
  const { url, checksum, checksumType } = image;
  const findings: DoctorFinding[] = [];
  const say = (severity: Finding['severity'], code: DoctorCode, field: string, message: string) =>
    findings.push(finding(severity, code, message, { field }));
  const [known, other] = isV1beta2 ? ['diskFormat', 'format'] : ['format', 'diskFormat'];
  if (image[other as string] !== undefined) {
    say(
      'error',
      'METAL3_FIELD_RENAMED',
      other as string,
      `has ${other}, which is called ${known} in this apiVersion`,
    );
  }
  if (typeof url !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/./i.test(url)) {
    say(
      'error',
      'METAL3_URL_INVALID',
      'url',
      `has ${JSON.stringify(url) ?? 'no url'} as url; is a replacement missing?`,
    );
    return findings;
  }
  if (url.startsWith('oci://')) {
    for (const field of ['checksum', 'checksumType']) {
      if (!isEmpty(image[field])) {
        say(
          'error',
          'METAL3_CHECKSUM_UNWANTED',
          field,
          `has ${field} beside an oci:// url, which CAPM3 from v1.14 and BMO from v0.14 refuse: the digest is the checksum`,
        );
      }
    }
    return findings;
  }
  const isLiveIso = image[known as string] === 'live-iso';
  if (isEmpty(checksum) && !isLiveIso) {
    say(
      'error',
      'METAL3_CHECKSUM_MISSING',
      'checksum',
      'has no checksum, without which Ironic deploys nothing fetched by HTTP',
    );
  }
  const isMd5 = checksumType === 'md5' || (isEmpty(checksumType) && /^[0-9a-f]{32}$/i.test(String(checksum)));
  if (isMd5) {
    say(
      'warning',
      'METAL3_CHECKSUM_WEAK',
      'checksumType',
      'has an MD5 checksum, which Ironic is dropping and FIPS forbids: use checksum and checksumType of the artifacts catalogue, which has the strongest',
    );
  }
  return findings;
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === '';
}
