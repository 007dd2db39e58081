import { createHash } from 'node:crypto';
import {
  bootPredicate,
  type PassedBootTest,
} from '../../../../image-builder/bundle/evidence/boot-predicate.ts';

const nameOf = (disk: string) => `file-of-${disk}`;
const run = (disk: string, firmware: string, settings: string): PassedBootTest => ({
  ...{ disk, firmware, settings },
  tests: ['ntp runs'],
});
const configurationOf = (tests: PassedBootTest[]) =>
  (bootPredicate(tests, nameOf).configuration as [{ digest: { sha256: string }; annotations: object }])[0];

test('each run is told by disk and firmware, and what all were run with by one digest', () => {
  const tests = [run('a', 'bios', '1'), run('a', 'uefi', '2'), run('b', 'bios', '1')];
  const { digest, annotations } = configurationOf(tests);
  expect(annotations).toEqual({
    'file-of-a/bios': { tests: ['ntp runs'] },
    'file-of-a/uefi': { tests: ['ntp runs'] },
    'file-of-b/bios': { tests: ['ntp runs'] },
  });
  expect(digest.sha256).toBe(createHash('sha256').update('1\n2').digest('hex'));
  // Another disk that was tested in the same way, or another order, changes nothing.
  expect(configurationOf([...tests.slice(0, 2)].reverse()).digest).toEqual(digest);
  expect(configurationOf([...tests, run('b', 'uefi', '3')]).digest).not.toEqual(digest);
});
