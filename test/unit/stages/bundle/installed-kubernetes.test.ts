import { kubernetesOf } from '../../../../image-builder/stages/bundle/installed-kubernetes.ts';

const installed = (versions: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(versions).map(([name, version]) => [name, { version, architecture: 'amd64' }]),
  );

test.each([
  ['nothing', {}, {}, undefined],
  ['what is installed, without asking', {}, { kubelet: '1.34.5-1.1' }, { version: 'v1.34.5' }],
  [
    'what is installed beside what was asked for',
    { k8s_version: '1.34.2-1.1' },
    { kubectl: '1.34.1-1.1', kubelet: '1.34.5-1.1' },
    { version: 'v1.34.5', requested: 'v1.34.2' },
  ],
  ["Debian's kubectl", {}, { 'kubernetes-client': '1.32.3+ds-2+b8' }, { version: 'v1.32.3' }],
  [
    'a package of another name in the version',
    { k8s_version: '1.34.2+k3s1-1' },
    { vim: '2:9', k3s: '1.34.2+k3s1-1' },
    { version: 'v1.34.2', requested: 'v1.34.2' },
  ],
  ['a download: nobody knows', { k8s_version: '1.34.2' }, { vim: '2:9' }, { requested: 'v1.34.2' }],
  ['half a version as it is written', { k8s_version: '1.34' }, {}, { requested: '1.34' }],
] as const)('%s', (_what, asked, packages, facts) => {
  expect(kubernetesOf(asked, installed(packages as Record<string, string>))).toEqual(facts);
});
