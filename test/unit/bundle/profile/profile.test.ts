import { ExactNumber } from '../../../../image-builder/base/yaml/values.ts';
import type { BundleContents, Profile } from '../../../../image-builder/bundle/model.ts';
import { cataloguesOf } from '../../../../image-builder/bundle/profile/catalogue.ts';
import { parseJson } from '../../../../image-builder/bundle/profile/json.ts';
import { kubernetesVersion } from '../../../../image-builder/bundle/profile/kubernetes-version.ts';
import { parseProfile } from '../../../../image-builder/bundle/profile/profile.ts';

const profile = (json: string): Profile => ({ path: '/profiles/profile_x.json', name: 'profile_x', json });

describe('kubernetesVersion', () => {
  test.each([
    ['1.34.2-1.1', 'v1.34.2'],
    ['1.21.2-00', 'v1.21.2'],
    ['v1.34.2', 'v1.34.2'],
    ['1.32.3+ds-2', 'v1.32.3'],
    ['1:1.20.5-0ubuntu1', 'v1.20.5'],
    ['1.35.0~rc.1-1.1', 'v1.35.0-rc.1'],
    ['1.35.0-alpha.2', 'v1.35.0-alpha.2'],
  ])('%s is %s', (version, expected) => expect(kubernetesVersion(version)).toBe(expected));

  test.each(['', '1.34', 'latest', '1.2.3.4', 'v'])('%j is none', (version) =>
    expect(kubernetesVersion(version)).toBeUndefined(),
  );
});

describe('parseJson', () => {
  test('keeps the text of numbers that JavaScript would print differently', () => {
    const value = parseJson(
      '{"a": 1.20, "b": [1e3, -0, 12], "c": 9223372036854775807, "d": "1.20 \\" 1e3", "e": 1.5}',
    );
    expect(value).toEqual({
      a: new ExactNumber('1.20'),
      b: [new ExactNumber('1e3'), new ExactNumber('-0'), 12],
      c: new ExactNumber('9223372036854775807'),
      d: '1.20 " 1e3',
      e: 1.5,
    });
  });

  test.each(['', '{', "{'a': 1}", '{"a": 01}', 'nope'])('refuses %j', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });
});

test.each([0, 1, 2])('written with an indentation of %i, as our profiles are, it is the same', (indent) => {
  const value = { a: [1, 'x', { b: null }], c: { d: -1.5 }, same: [1, 'x', { b: null }], text: '1.20' };
  const text = `${JSON.stringify(value, undefined, indent)}\n`;
  expect(parseJson(text)).toEqual(value);
  expect(parseJson(text.replace('-1.5', '1e3'))).toEqual({ ...value, c: { d: new ExactNumber('1e3') } });
  expect(parseJson(text)).toEqual(value);
});

describe('parseProfile', () => {
  test.each([
    ['not json', 'NOT_JSON', 'is not JSON'],
    ['', 'NOT_JSON', 'is not JSON'],
    ['[]', 'NOT_AN_OBJECT', 'contains a list'],
    ['"x"', 'NOT_AN_OBJECT', 'contains a string'],
    ['1.20', 'NOT_AN_OBJECT', 'contains a number'],
    ['null', 'NOT_AN_OBJECT', 'contains null'],
    ['{"kind": "x", "metadata": 1}', 'RESERVED_KEY', 'has the variable kind, metadata'],
  ])('refuses %s', (json, code, message) => {
    const call = () => parseProfile(profile(json));
    expect(call).toThrow(expect.objectContaining({ code }));
    expect(call).toThrow(`/profiles/profile_x.json ${message}`);
  });

  test('takes a byte order mark', () => {
    expect(parseProfile(profile('\ufeff{"a": "0755"}'))).toEqual({ a: '0755' });
  });
});

describe('cataloguesOf', () => {
  const contents: BundleContents = {
    reference: { image: 'registry.example.org/qcow-bundle:v1@sha256:aa', digest: 'sha256:aa' },
    profiles: [
      {
        path: '/profiles/profile_multistrap.json',
        name: 'profile_multistrap',
        json: '{"a": "0755", "k8s_version": "1.34.2-1.1", "z": 1}',
      },
      profile('{"img_name": "cp"}'),
    ],
    artifacts: {
      qcows: {
        'control-plane': {
          file: 'control plane.qcow2',
          format: 'qcow2',
          size: 10,
          virtualSize: 20,
          md5: 'm',
          sha256: 's',
          sha512: 't',
          rootFSUUID: '6c1ffbc1-84b7-8bd1-a7a1-1d6ebc9c5f0e',
          oci: 'oci://registry.example.org/site/bundle@sha256:d',
        },
        old: { file: 'old.qcow2', format: 'qcow2', md5: 'm2' },
      },
      iso: { file: 'live.iso', format: 'iso', size: 30, md5: 'im', sha256: 'is', sha512: 'it' },
    },
  };

  test('one of each profile, then the artifacts', () => {
    const options = {
      imageBaseURL: 'http://192.0.2.1/images/',
      labels: { 'airshipit.org/deploy-k8s': 'false' },
    };
    const names = { name: 'node', profiles: new Map([['/profiles/profile_x.json', 'custom']]) };
    const metadata = (name: string) => ({ name, labels: options.labels });
    const head = { apiVersion: 'airshipit.org/v1alpha1', kind: 'VariableCatalogue' };
    expect(cataloguesOf(contents, names, options)).toEqual([
      {
        ...head,
        metadata: metadata('profile_multistrap'),
        a: '0755',
        k8s_version: '1.34.2-1.1',
        kubernetes: { version: 'v1.34.2' },
        z: 1,
      },
      { ...head, metadata: metadata('custom'), img_name: 'cp' },
      {
        ...head,
        metadata: metadata('node-artifacts'),
        bundle: contents.reference,
        qcows: {
          'control-plane': {
            file: 'control plane.qcow2',
            url: 'http://192.0.2.1/images/control%20plane.qcow2',
            oci: 'oci://registry.example.org/site/bundle@sha256:d',
            checksum: 's',
            checksumType: 'sha256',
            format: 'qcow2',
            size: 10,
            virtualSize: 20,
            md5: 'm',
            sha256: 's',
            sha512: 't',
            rootFSUUID: '6c1ffbc1-84b7-8bd1-a7a1-1d6ebc9c5f0e',
            image: {
              v1beta1: {
                url: 'http://192.0.2.1/images/control%20plane.qcow2',
                checksum: 's',
                checksumType: 'sha256',
                format: 'qcow2',
              },
              v1beta2: {
                url: 'http://192.0.2.1/images/control%20plane.qcow2',
                checksum: 's',
                checksumType: 'sha256',
                diskFormat: 'qcow2',
              },
              // With a checksum beside it Metal3 refuses it.
              oci: { url: 'oci://registry.example.org/site/bundle@sha256:d' },
            },
          },
          old: {
            file: 'old.qcow2',
            url: 'http://192.0.2.1/images/old.qcow2',
            checksum: 'm2',
            checksumType: 'md5',
            format: 'qcow2',
            md5: 'm2',
            image: {
              v1beta1: {
                url: 'http://192.0.2.1/images/old.qcow2',
                checksum: 'm2',
                checksumType: 'md5',
                format: 'qcow2',
              },
              v1beta2: {
                url: 'http://192.0.2.1/images/old.qcow2',
                checksum: 'm2',
                checksumType: 'md5',
                diskFormat: 'qcow2',
              },
            },
          },
        },
        iso: {
          file: 'live.iso',
          url: 'http://192.0.2.1/images/live.iso',
          checksum: 'is',
          checksumType: 'sha256',
          format: 'iso',
          size: 30,
          md5: 'im',
          sha256: 'is',
          sha512: 'it',
        },
      },
    ]);
  });

  test('without a base URL no artifact has one; a variable named kubernetes stays as it is', () => {
    const bundle = {
      ...contents,
      profiles: [profile('{"k8s_version": "1.34.2-1.1", "kubernetes": "mine"}')],
    };
    const [catalogue, artifacts] = cataloguesOf(bundle, { name: 'node' });
    expect(catalogue).toMatchObject({ kubernetes: 'mine', metadata: { name: 'profile_x' } });
    const { qcows } = artifacts as unknown as { qcows: Record<string, Record<string, unknown>> };
    expect(qcows['control-plane']).not.toHaveProperty('url');
    expect(qcows['control-plane']?.image).toEqual({
      oci: { url: 'oci://registry.example.org/site/bundle@sha256:d' },
    });
    expect(qcows.old).not.toHaveProperty('image');
  });
});
