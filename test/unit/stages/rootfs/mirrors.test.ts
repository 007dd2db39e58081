import { CancelledError } from '../../../../image-builder/base/diagnostics/cancelled.ts';
import { ToolError } from '../../../../image-builder/sandbox/tool-error.ts';
import type { ResolvedRepository } from '../../../../image-builder/spec/variables/resolved-multistrap.ts';
import { Mirrors } from '../../../../image-builder/stages/rootfs/mirrors.ts';

const repository = (name: string, source: string): ResolvedRepository => ({
  name,
  source,
  suite: name,
  components: ['main'],
  packages: [],
  omitdebsrc: true,
  register_repo_with_rootfs: true,
});
const [A, B, S] = ['http://a.test/debian', 'http://b.test/debian', 'http://a.test/debian-security'];
const failure = (...output: string[]) => new ToolError('TOOL_FAILED', 'apt-get failed', { output });
const mirrors = () =>
  new Mirrors([repository('trixie', A), repository('updates', A), repository('security', S)], {
    trixie: [A, B],
    updates: [A, B],
  });
const inUse = (choice: Mirrors) => choice.repositories.map(({ source }) => source);

test('one that fails is given up for all of its repositories, the others stay', () => {
  const choice = mirrors();
  expect(inUse(choice)).toEqual([A, A, S]);
  expect(choice.giveUp(failure(`E: Failed to fetch ${A}/dists/trixie/InRelease  404`))).toEqual([B]);
  expect(inUse(choice)).toEqual([B, B, S]);
});

test('when the last one fails there is nothing to go on with, until all are tried again', () => {
  const choice = mirrors();
  choice.giveUp(failure(`E: Failed to fetch ${A}/x`));
  expect(choice.giveUp(failure(`E: Failed to fetch ${B}/x`))).toEqual([]);
  expect(inUse(choice)).toEqual([B, B, S]);
  choice.reset();
  expect(inUse(choice)).toEqual([A, A, S]);
});

test('a mirror is not blamed for one whose address begins like its own', () => {
  const choice = mirrors();
  expect(choice.giveUp(failure(`E: Failed to fetch ${S}/dists/security/InRelease`))).toEqual([]);
  expect(inUse(choice)).toEqual([A, A, S]);
});

test('what is no failure of apt is nobody’s fault', () => {
  expect(mirrors().giveUp(new CancelledError('CANCELLED', A))).toEqual([]);
  expect(mirrors().giveUp(failure(`Get:1 ${A} trixie InRelease`, 'E: Unable to locate package x'))).toEqual(
    [],
  );
});
