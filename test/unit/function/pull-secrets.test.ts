import { pullSecretsOf } from '../../../functions/image-builder/handlers/pull-secrets.ts';

it('finds imagePullSecrets among the items, in every form', () => {
  const encode = (text: string) => Buffer.from(text).toString('base64');
  const items = [
    {
      kind: 'Secret',
      type: 'kubernetes.io/dockerconfigjson',
      metadata: { name: 'login', namespace: 'site' },
      data: { '.dockerconfigjson': encode('{"auths":{}}') },
    },
    { kind: 'Secret', type: 'kubernetes.io/dockercfg', stringData: { '.dockercfg': '{}' } },
    { kind: 'Secret', type: 'Opaque', data: { '.dockerconfigjson': encode('no') } },
    { kind: 'Secret', type: 'kubernetes.io/dockerconfigjson' },
    {
      kind: 'ConfigMap',
      type: 'kubernetes.io/dockerconfigjson',
      data: { '.dockerconfigjson': encode('no') },
    },
  ];
  expect(pullSecretsOf(items)).toEqual([
    { json: '{"auths":{}}', origin: 'Secret site/login' },
    { json: '{}', origin: 'Secret' },
  ]);
});
