// Contract v2: blocks on standard input that are not always YAML.
import { rootLevelMounts } from '../../../image-builder/airship/mounts.ts';
import { parseContractV2, splitBlocks } from '../../../image-builder/airship/v2.ts';
import { InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';

/** What the predecessor's make targets send: each file indented by `sed 's/^/    /'`. */
const indent = (text: string) => text.replace(/^/gm, '    ');
const isoInput = (userData: string, networkConfig: string, more = 'outputFileName: ephemeral.iso') =>
  `user_data:\n${indent(userData)}\nnetwork_config:\n${indent(networkConfig)}\n${more}\n`;

const iso = { IMAGE_TYPE: 'iso', VERSION: 'v2', http_proxy: '', IMAGE: 'quay.io/airshipit/image-builder:x' };
const parse = (input: string, environment: Record<string, string> = iso) =>
  parseContractV2({ environment, input, rootMounts: ['/config'] });

function findings(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidInputError) return error.message.split('\n');
    throw error;
  }
  throw new Error('nothing was wrong');
}

const NETWORK = '{"links": [], "networks": [],\n\t"services": []}';

describe('the blocks', () => {
  test('keep comments, blank lines, tabs and deeper indentation of user_data', () => {
    const userData = '#cloud-config\n\nruncmd:\n  - |\n      echo 1\n\n      \techo 2\n# end';
    expect(splitBlocks(isoInput(userData, NETWORK)).blocks.user_data).toEqual({
      text: `${userData}\n`,
      firstLine: 2,
    });
  });

  test('may be written with |, whatever their indentation is', () => {
    const blocks = splitBlocks(
      'user_data: |\n  #cloud-config\n  a:\n\n    b\nnetwork_config: {"links": []}\n',
    ).blocks;
    expect(blocks.user_data?.text).toBe('#cloud-config\na:\n\n  b\n');
    expect(blocks.network_config?.text).toBe('{"links": []}\n');
  });

  test('of a name that merely occurs in a text are not begun there', () => {
    const userData = '#cloud-config\nuser_data:\nqcow:';
    expect(splitBlocks(isoInput(userData, NETWORK)).blocks).not.toHaveProperty('qcow');
  });

  test.each([
    ['no key above', '    a: 1\n', 'line 1: indented, but not below a key'],
    ['two spaces', 'qcow:\n  a: 1\n', 'line 2: indented by 2, expected 4 spaces'],
    ['a text that was not indented', 'user_data:\nhello\n', 'line 2: neither a key nor indented by 4 spaces'],
    ['a block twice', 'qcow:\n    a: 1\nqcow:\n    b: 1\n', 'line 3: duplicate key'],
    ['an unknown key', 'userdata:\n    a\n', 'line 1: unknown key'],
    ['a name twice', 'outputFileName: a\noutputFileName: b\n', 'line 2: duplicate key'],
    ['a ResourceList', 'apiVersion: x\nkind: ResourceList\nitems: []\n', 'is a KRM ResourceList'],
  ])('refuses %s', (_, input, message) => {
    expect(findings(() => splitBlocks(input)).join('\n')).toContain(message);
  });

  test('does not show a line that may be a secret', () => {
    expect(findings(() => splitBlocks('user_data:\npassword=hunter2\n')).join()).not.toContain('hunter2');
  });
});

describe('an ISO', () => {
  test('is described by user_data and network_config', () => {
    expect(parse(isoInput('#cloud-config', NETWORK, 'outputFileName: "my.iso"'))).toEqual({
      contract: 'v2',
      imageType: 'iso',
      imageName: 'my.iso',
      volume: '/config',
      checksumFile: true,
      builderImage: 'quay.io/airshipit/image-builder:x',
      build: {
        iso: {
          userData: '#cloud-config\n',
          networkData: { links: [], networks: [], services: [] },
          outputFileName: 'my.iso',
        },
      },
    });
  });

  test('has the name ephemeral.iso when none is given, and IMAGE_TYPE may be empty', () => {
    expect(parse(isoInput('#!/bin/sh', NETWORK, ''), { IMAGE_TYPE: '' }).imageName).toBe('ephemeral.iso');
  });

  test('needs both files, and says so for both at once', () => {
    expect(findings(() => parse('outputFileName: a.iso\n'))).toEqual([
      expect.stringContaining('user_data: is missing or empty'),
      expect.stringContaining('network_config: is missing or empty'),
    ]);
    expect(findings(() => parse(isoInput('x', '')))).toEqual([
      expect.stringContaining('network_config: is missing'),
    ]);
    expect(findings(() => parse(''))).toHaveLength(2);
  });

  test.each(['../a.iso', '/etc/passwd', '-rf', 'a b', ''])('is not called %j', (name) => {
    expect(findings(() => parse(isoInput('x', NETWORK, `outputFileName: "${name}"`))).join()).toContain(
      'expected a file name',
    );
  });

  test('has network data with the line of the mistake in standard input', () => {
    expect(findings(() => parse(isoInput('x', 'links: [\nnetworks: }'))).join('\n')).toMatch(
      /network_config: .* at line [45], column \d+ .*\(in standard input\)/,
    );
  });
});

describe('a QCOW', () => {
  const qcow = { IMAGE_TYPE: 'qcow' };

  test('takes its variables, and img_name where nothing else names it', () => {
    const input = `osconfig:\n${indent('sysctl:\n  - {name: a, value: 1}')}\nqcow:\n${indent('img_name: node.qcow2\nqcow_capacity: 4G')}\n`;
    expect(parse(input, qcow)).toMatchObject({
      imageType: 'qcow',
      imageName: 'node.qcow2',
      qcowName: 'node',
      build: {
        qcows: {
          node: {
            osconfig: { sysctl: [{ name: 'a', value: 1 }] },
            qcow: { img_name: 'node', qcow_capacity: '4G' },
          },
        },
      },
    });
    expect(parse(`${input}outputFileName: Control_Plane.qcow2\n`, qcow)).toMatchObject({
      imageName: 'Control_Plane.qcow2',
      qcowName: 'control_plane',
      build: { qcows: { control_plane: { qcow: { img_name: 'Control_Plane' } } } },
    });
  });

  test('needs nothing at all', () => {
    expect(parse('', qcow)).toMatchObject({ imageName: 'airship-ubuntu.qcow2', qcowName: 'airship-ubuntu' });
  });

  test.each([
    ['a key twice', 'qcow:\n    a: 1\n    a: 2\n', 'line 3'],
    ['a list', 'osconfig:\n    - a\n', 'is a list, expected a mapping'],
    ['a path as img_name', 'qcow:\n    img_name: ../x\n', 'qcow.img_name: is "../x"'],
    ['an alias bomb', bomb(), 'alias'],
  ])('refuses variables with %s', (_, input, message) => {
    expect(findings(() => parse(input, qcow)).join('\n')).toContain(message);
  });
});

test('IMAGE_TYPE and the volume are checked together with the rest', () => {
  expect(
    findings(() => parseContractV2({ environment: { IMAGE_TYPE: 'raw' }, input: 'x\n', rootMounts: [] })),
  ).toEqual([
    expect.stringContaining('IMAGE_TYPE: is "raw"'),
    expect.stringContaining('no directory is mounted'),
    expect.stringContaining('line 1'),
  ]);
});

test('the volume is /config, or whatever is mounted directly below /', () => {
  const mountinfo = [
    '22 1 0:21 / / rw - overlay overlay rw',
    '23 22 0:22 / /proc rw - proc proc rw',
    '24 22 0:23 / /dev rw - tmpfs tmpfs rw',
    '25 22 254:0 /hosts /etc/hosts rw - ext4 /dev/vda rw',
    '26 22 254:0 /srv /my\\040data rw - ext4 /dev/vda rw',
    '27 22 254:0 /a /assets rw - ext4 /dev/vda rw',
  ].join('\n');
  expect(rootLevelMounts(mountinfo)).toEqual(['/assets', '/my data']);
  const volume = (rootMounts: string[]) =>
    parseContractV2({ environment: { IMAGE_TYPE: 'qcow' }, input: '', rootMounts }).volume;
  expect(volume(['/assets', '/my data'])).toBe('/my data');
  expect(volume(['/config', '/data'])).toBe('/config');
});

/** YAML that expands to 10^9 strings. */
function bomb(): string {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const items =
      level === 0
        ? 'x,x,x,x,x,x,x,x,x,x'
        : Array(10)
            .fill(`*l${level - 1}`)
            .join(',');
    return `    l${level}: &l${level} [${items}]`;
  });
  return `qcow:\n${levels.join('\n')}\n`;
}
