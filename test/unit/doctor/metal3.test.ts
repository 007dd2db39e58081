// What current Metal3 refuses, one image at a time.
import { checkMetal3 } from '../../../image-builder/doctor/metal3.ts';

const OCI = 'oci://registry.example.org/site/bundle@sha256:aa';
const HTTP = 'http://192.0.2.1/a.qcow2';
const sha256 = { checksum: 'a'.repeat(64), checksumType: 'sha256' };

const template = (version: string, image: unknown) => ({
  apiVersion: `infrastructure.cluster.x-k8s.io/${version}`,
  kind: 'Metal3MachineTemplate',
  metadata: { name: 'cp' },
  spec: { template: { spec: { image } } },
});
const host = (image: unknown) => ({
  apiVersion: 'metal3.io/v1alpha1',
  kind: 'BareMetalHost',
  metadata: { name: 'cp' },
  spec: { image },
});
const findings = (object: Record<string, unknown>) =>
  checkMetal3(object, 'out.yaml').map(({ severity, field, file, message }) => {
    expect(file).toBe('out.yaml');
    expect(message).toMatch(/^(Metal3MachineTemplate|BareMetalHost)\/cp has /);
    return `${severity} ${field}`;
  });

test.each([
  ['a disk in a registry', template('v1beta2', { url: OCI })],
  ['a disk in a registry, v1beta1', template('v1beta1', { url: OCI, checksum: '', checksumType: null })],
  ['a disk of a web server', template('v1beta2', { url: HTTP, ...sha256, diskFormat: 'qcow2' })],
  ['a disk of a web server, v1beta1', template('v1beta1', { url: HTTP, ...sha256, format: 'qcow2' })],
  ['a host', host({ url: HTTP, ...sha256, format: 'qcow2' })],
  ['a live ISO', host({ url: 'http://192.0.2.1/a.iso', format: 'live-iso' })],
  ['a host without an image', host(undefined)],
  ['an object of somebody else', { ...host({ url: OCI, ...sha256 }), apiVersion: 'example.org/v1' }],
  ['an object of another kind', { apiVersion: 'v1', kind: 'toString', spec: { image: {} } }],
  ['nothing', {}],
])('%s is right', (_what, object) => expect(findings(object)).toEqual([]));

test.each([
  [
    'a checksum beside oci://',
    template('v1beta2', { url: OCI, ...sha256 }),
    ['error spec.template.spec.image.checksum', 'error spec.template.spec.image.checksumType'],
  ],
  ['a checksum beside oci://, of a host', host({ url: OCI, checksum: 'a' }), ['error spec.image.checksum']],
  ['no checksum by HTTP', host({ url: HTTP, format: 'qcow2' }), ['error spec.image.checksum']],
  [
    'MD5',
    host({ url: HTTP, checksum: 'a'.repeat(32), checksumType: 'md5' }),
    ['warning spec.image.checksumType'],
  ],
  [
    'MD5 without its name',
    host({ url: HTTP, checksum: 'a'.repeat(32) }),
    ['warning spec.image.checksumType'],
  ],
  [
    'the name of v1beta1 in v1beta2',
    template('v1beta2', { url: OCI, format: 'qcow2' }),
    ['error spec.template.spec.image.format'],
  ],
  [
    'the name of v1beta2 in v1beta1',
    template('v1beta1', { url: OCI, diskFormat: 'qcow2' }),
    ['error spec.template.spec.image.diskFormat'],
  ],
  ['what no replacement has reached', host({ url: 'replaced' }), ['error spec.image.url']],
  ['no url', host({}), ['error spec.image.url']],
])('%s is found', (_what, object, expected) => expect(findings(object)).toEqual(expected));
