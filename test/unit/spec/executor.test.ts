// Where a build runs: what of spec.build.executor a schema cannot say.
import { bytesOf, checkExecutor } from '../../../image-builder/spec/variables/executor.ts';

const image = 'registry.example.org/tools';

test('two executors are one too many', () => {
  const [finding] = checkExecutor({ container: { image }, kubernetes: { image } });
  expect(finding).toMatchObject({ field: 'spec.build.executor' });
  expect(finding?.message).toMatch(/names container and kubernetes/);
  expect(checkExecutor({ local: {} })).toEqual([]);
});

test('storage that is too small is said with its value', () => {
  const sized = (size: string) => checkExecutor({ kubernetes: { image, storage: { size } } });
  expect(sized('1Gi')).toMatchObject([{ field: 'spec.build.executor.kubernetes.storage.size' }]);
  expect(sized('1Gi')[0]?.message).toMatch(/is 1Gi.*at least 2Gi/);
  expect(sized('20Gi')).toEqual([]);
  expect(checkExecutor({ kubernetes: { image, storage: { size: '20Gi', claim: 'work' } } })).toHaveLength(1);
});

test.each([
  ['2Gi', 2 ** 31],
  ['1500M', 1.5e9],
  ['3000k', 3e6],
  ['1Ki', 1024],
  ['7', 7],
  ['1500m', 1.5],
])('%s', (quantity, bytes) => expect(bytesOf(quantity)).toBe(bytes));
