// Bundles for tests: in the predecessor's exact layout, and in ours.

import { createHash, randomBytes } from 'node:crypto';
import type { TestEntry, TestImage, TestLayer } from './images.ts';

export const MULTISTRAP_PROFILE = JSON.stringify({
  k8s_version: '1.21.2-00',
  rootfs_arch: 'amd64',
  umask: '0755',
});
export const QCOW_PROFILE = JSON.stringify({ img_name: 'control-plane', qcow_capacity: '19G' });

export interface BundleShape {
  /** Size of the disk image in bytes; its content cannot be compressed. */
  qcowBytes?: number;
  compression?: TestLayer['compression'];
  withoutHistory?: boolean;
}

/**
 * The predecessor's Dockerfile: a base, then COPY of QCOWs, of profiles and of the function.
 * (https://opendev.org/airship/images, Dockerfile-qcow)
 */
export function predecessorBundle({
  qcowBytes = 2_000_000,
  compression = 'gzip',
  withoutHistory,
}: BundleShape = {}): TestImage {
  const qcow = randomBytes(qcowBytes);
  const layers: TestLayer[] = [
    { entries: baseEntries(), history: '/bin/sh -c #(nop) ADD file:5a0b1d6c in / ' },
    { entries: qcowEntries(qcow), history: '/bin/sh -c #(nop) COPY multi:1b4e27ab in /qcows/ ' },
    { entries: profileEntries(), history: '/bin/sh -c #(nop) COPY multi:7c9d4e9f in /profiles/ ' },
    {
      entries: functionEntries(),
      history: '/bin/sh -c #(nop) COPY file:3d5f6a77 in /usr/local/bin/function ',
    },
  ];
  return {
    layers: layers.map((layer) => ({ ...layer, compression })),
    tag: 'v1',
    ...(withoutHistory && { withoutHistory }),
  };
}

/** Ours: profiles and artifacts in a marked layer of their own, on top. */
export function ownBundle({ qcowBytes = 2_000_000, compression = 'gzip' }: BundleShape = {}): TestImage {
  const qcow = randomBytes(qcowBytes);
  const artifacts = JSON.stringify({
    qcows: {
      'control-plane': {
        file: 'control-plane.qcow2',
        format: 'qcow2',
        size: qcow.length,
        virtualSize: 19 * 1024 ** 3,
        ...Object.fromEntries(
          ['md5', 'sha256', 'sha512'].map((name) => [name, createHash(name).update(qcow).digest('hex')]),
        ),
      },
    },
  });
  const layers: TestLayer[] = [
    // The base has usr/ already, and podman takes no entry twice.
    { entries: [...baseEntries(), ...functionEntries().slice(1)] },
    { entries: qcowEntries(qcow) },
    {
      entries: [...profileEntries(), { name: 'profiles/artifacts.json', content: artifacts }],
      annotations: { 'org.airshipit.image-builder.profiles': 'true' },
    },
  ];
  return {
    layers: layers.map((layer) => ({ ...layer, compression })),
    tag: 'v1',
    labels: { 'org.opencontainers.image.title': 'bundle' },
  };
}

export function profileEntries(): TestEntry[] {
  return [
    { name: 'profiles/', type: 'directory' },
    { name: 'profiles/profile_multistrap.json', content: MULTISTRAP_PROFILE },
    { name: 'profiles/profile_qcow_control-plane.json', content: QCOW_PROFILE },
  ];
}

function qcowEntries(qcow: Buffer): TestEntry[] {
  const md5 = createHash('md5').update(qcow).digest('hex');
  return [
    { name: 'qcows/', type: 'directory' },
    { name: 'qcows/control-plane.qcow2', content: qcow },
    { name: 'qcows/control-plane.qcow2.md5sum', content: `${md5}\n` },
  ];
}

/** A base image of some megabytes, sorted as tools write it. */
function baseEntries(): TestEntry[] {
  const directories = ['bin', 'etc', 'home', 'lib', 'usr'].map((name) => ({
    name: `${name}/`,
    type: 'directory' as const,
  }));
  const files = Array.from({ length: 300 }, (_, index) => ({
    name: `lib/module-${String(index).padStart(3, '0')}.so`,
    content: randomBytes(4096),
  }));
  return [...directories.slice(0, 4), ...files, ...directories.slice(4)];
}

function functionEntries(): TestEntry[] {
  return [
    { name: 'usr/', type: 'directory' },
    { name: 'usr/local/', type: 'directory' },
    { name: 'usr/local/bin/', type: 'directory' },
    { name: 'usr/local/bin/function', content: randomBytes(1_500_000) },
  ];
}
