// The tests of spec.build.tests as scripts with what they must print. Pure.
import type { Finding } from '../../base/diagnostics/error.ts';
import type { ImageTests } from '../api/types.ts';
import { unitName } from './osconfig.ts';
import type { ImageTest } from './resolved-tests.ts';

type Item<List extends keyof ImageTests> = NonNullable<ImageTests[List]> extends (infer One)[] ? One : never;

const SECONDS = 60;

/** In the order of the fields. Tests of the same name are about the same thing. */
export function imageTests(tests: ImageTests): ImageTest[] {
  const { packages = [], files = [], units = [], sysctl = [], kernelArguments = [] } = tests;
  const { mounts = [], ports = [], commands = [], failedUnits = [], bootSeconds, cloudInit } = tests;
  return [
    noFailedUnit(failedUnits),
    ...packages.flatMap(packageTests),
    ...files.flatMap(fileTests),
    ...units.flatMap(unitTests),
    ...sysctl.map(({ name, value }) =>
      // Lists of numbers are separated by tabs.
      fact(
        `sysctl ${name}`,
        `sysctl -n -- ${quote(name)} | tr -s '\\t ' ' '`,
        String(value).replace(/[\t ]+/g, ' '),
      ),
    ),
    ...kernelArguments.map((argument) =>
      fact(
        `kernel argument ${argument}`,
        `tr ' ' '\\n' </proc/cmdline | grep -Fxq -- ${quote(argument)} && echo given || echo absent`,
        'given',
      ),
    ),
    ...mounts.map(({ path, type }) =>
      fact(
        `mount ${path}`,
        `findmnt -no ${type ? 'FSTYPE' : 'TARGET'} --mountpoint ${quote(path)}`,
        type ?? path,
      ),
    ),
    ...ports.map(portTest),
    ...commands.map(({ command, name = command, output, timeout = SECONDS }) => ({
      name: `command ${name}`,
      script: command,
      timeoutSeconds: timeout,
      ...(output !== undefined && { expected: output.trim() }),
    })),
    ...(bootSeconds === undefined ? [] : [bootTimeTest(bootSeconds)]),
    ...(cloudInit
      ? [fact('cloud-init', "cloud-init status --wait | sed -n 's/^status: //p'", cloudInit)]
      : []),
  ];
}

const fact = (name: string, script: string, expected: string): ImageTest => ({
  name,
  script,
  timeoutSeconds: SECONDS,
  expected,
});

/** @param allowed units that may fail */
export function noFailedUnit(allowed: readonly string[] = []): ImageTest {
  const others = allowed.map((name) => ` | grep -Fxv -- ${quote(unitName(name))}`).join('');
  return fact(
    'no unit has failed',
    `{ systemctl list-units --failed --plain --no-legend | cut -d ' ' -f 1${others}; } || true`,
    '',
  );
}

function packageTests({ name, version, installed = true }: Item<'packages'>): ImageTest[] {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own notation
  const format = `\${db:Status-Status}${version === undefined ? '' : ' ${Version}'}`;
  const script = `dpkg-query -W -f ${quote(format)} ${quote(name)} 2>/dev/null || echo absent`;
  const absent = `{ ${script}; } | sed 's/^installed.*/installed/; t; s/.*/absent/'`;
  return [
    ...(installed ? [] : [fact(`package ${name}`, absent, 'absent')]),
    ...(installed && version === undefined ? [fact(`package ${name}`, script, 'installed')] : []),
    ...(version === undefined ? [] : [fact(`package ${name}`, script, `installed ${version}`)]),
  ];
}

function fileTests({ path, exists = true, mode, owner, group, contains }: Item<'files'>): ImageTest[] {
  const property = (name: string, format: string, expected: string) =>
    fact(`${name} of file ${path}`, `stat -c ${quote(format)} -- ${quote(path)}`, expected);
  const isNumber = (account: string | number) => /^\d+$/.test(String(account));
  return [
    fact(`file ${path}`, `[ -e ${quote(path)} ] && echo there || echo absent`, exists ? 'there' : 'absent'),
    ...(mode === undefined ? [] : [property('mode', '%a', mode.replace(/^0o?/, ''))]),
    ...(owner === undefined ? [] : [property('owner', isNumber(owner) ? '%u' : '%U', String(owner))]),
    ...(group === undefined ? [] : [property('group', isNumber(group) ? '%g' : '%G', String(group))]),
    ...(contains === undefined
      ? []
      : [
          fact(
            `text ${JSON.stringify(contains)} in file ${path}`,
            `grep -Fq -- ${quote(contains)} ${quote(path)} && echo there || echo absent`,
            'there',
          ),
        ]),
  ];
}

function unitTests({ name, active, enabled }: Item<'units'>): ImageTest[] {
  const unit = unitName(name);
  const asked = (verb: string, word: string, expected: boolean) =>
    fact(
      `unit ${unit} is ${word}`,
      `systemctl -q ${verb} -- ${quote(unit)} && echo yes || echo no`,
      expected ? 'yes' : 'no',
    );
  return [
    ...(active === undefined ? [] : [asked('is-active', 'active', active)]),
    ...(enabled === undefined ? [] : [asked('is-enabled', 'enabled', enabled)]),
  ];
}

function portTest({ port, protocol = 'tcp', listening = true }: Item<'ports'>): ImageTest {
  const option = protocol === 'tcp' ? 't' : 'u';
  return fact(
    `${protocol} port ${port}`,
    `[ -n "$(ss -Hln${option} 'sport = :${port}')" ] && echo listening || echo closed`,
    listening ? 'listening' : 'closed',
  );
}

/** What systemd-analyze(1) says, in words that tell how much too late it was. */
function bootTimeTest(limit: number): ImageTest {
  const finished = 'systemctl show --property=FinishTimestampMonotonic --value';
  return fact(
    'seconds to boot',
    `seconds=$(( ($(${finished}) + 999999) / 1000000 ))
if [ "$seconds" -gt 0 ] && [ "$seconds" -le ${limit} ]; then echo 'at most ${limit}'; else echo "$seconds"; fi`,
    `at most ${limit}`,
  );
}

/** A word of sh(1). */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Tests of which at most one can be met. */
export function contradictions(tests: readonly ImageTest[]): Finding[] {
  const first = new Map<string, ImageTest>();
  const same = tests.flatMap((test) => {
    const before = first.get(test.name) ?? test;
    first.set(test.name, before);
    if (before.expected === test.expected && before.script === test.script) return [];
    return [`${said(before)} and ${JSON.stringify(test.expected ?? 'status 0')}`];
  });
  // Nothing else can be so of a file that is not there.
  const absent = tests.filter(({ name, expected }) => name.startsWith('file ') && expected === 'absent');
  const ofAbsent = absent.flatMap((file) =>
    tests
      .filter(({ name }) => name.endsWith(` of ${file.name}`) || name.endsWith(` in ${file.name}`))
      .map((test) => `${said(file)}, and ${said(test)}`),
  );
  return [...new Set([...same, ...ofAbsent])].map((what) => ({
    severity: 'error',
    field: 'spec.build.tests',
    message: `contradicts itself: ${what}`,
  }));
}

const said = ({ name, expected }: ImageTest) => `${name} is to be ${JSON.stringify(expected ?? 'status 0')}`;

/** Each test once: of those of the same name the last. */
export const distinct = (tests: readonly ImageTest[]): ImageTest[] => [
  ...new Map(tests.map((test) => [test.name, test])).values(),
];
