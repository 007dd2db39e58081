// What the function in a container says it would need.
import { adviceFor, withContainerAdvice } from '../../../functions/image-builder/container-advice.ts';
import { ImageBuilderError, InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';
import { RegistryError } from '../../../image-builder/oci/http/registry-error.ts';

const online = { hasNetwork: true, uid: 0 };
const offline = { hasNetwork: false, uid: 65534 };
const coded = (code: string, cause?: unknown) => new ImageBuilderError(code, 'wrong', { cause });
const system = (code: string) => Object.assign(new Error(code), { code });

test.each([
  ['a registry without a network', new RegistryError('NETWORK', 'x'), offline, 'network: true'],
  ['a directory that is not mounted', new RegistryError('NOT_FOUND', 'x'), online, 'mounts: ['],
  [
    'a directory that is not writable',
    coded('LAYOUT_WRITE_FAILED', system('EACCES')),
    offline,
    '--as-current-user',
  ],
  ['a build without tools', coded('TOOL_MISSING'), online, 'spec.build.executor.container.image'],
  ['no engine', coded('ENGINE_MISSING'), online, 'src=/var/run/docker.sock'],
  ['an engine that nobody may use', coded('ENGINE_REFUSES'), offline, '--as-current-user'],
  [
    'manifests that are not mounted',
    new InvalidInputError([{ severity: 'error', field: 'spec.build.manifests', message: 'x' }]),
    online,
    'mounts: [',
  ],
])('%s', (_, error, facts, advice) => {
  expect(adviceFor(error, facts)).toContain(advice);
});

test.each([
  ['a tag that the registry does not have', new RegistryError('NOT_FOUND', 'x', { status: 404 })],
  ['a registry that is down', new RegistryError('NETWORK', 'x')],
  ['a mistake', new InvalidInputError([{ severity: 'error', field: 'spec.build.qcows', message: 'x' }])],
])('%s is not the fault of the container', (_, error) => {
  expect(adviceFor(error, online)).toBeUndefined();
});

test('is added to the last finding, and only in a container', async () => {
  const handler = async () => {
    throw coded('ENGINE_MISSING');
  };
  const context = {} as Parameters<ReturnType<typeof withContainerAdvice>>[1];
  const config = {} as Parameters<ReturnType<typeof withContainerAdvice>>[0];
  await expect(withContainerAdvice(handler, online)(config, context)).rejects.toMatchObject({
    message: expect.stringContaining('wrong [ENGINE_MISSING]\nhint: this function runs in a container'),
  });
  expect(withContainerAdvice(handler, undefined)).toBe(handler);
});
