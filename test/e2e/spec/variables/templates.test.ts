// Templates that are more than a reference are rendered by the real Jinja, in its sandbox.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { InvalidInputError } from '../../../../image-builder/base/diagnostics/error.ts';
import { parseImageBuilder } from '../../../../image-builder/spec/api/validate.ts';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { executable } from '../../support/executables.ts';
import { ATTACKS } from './attacks.ts';

// biome-ignore lint/suspicious/noTemplateCurlyInString: bash's own notation
const BASH_LENGTH = 'echo ${#nics[@]}';

const home = mkdtempSync(join(tmpdir(), 'home-'));
process.env.HOME = home;
afterAll(() => rmSync(home, { recursive: true }));

const resolve = async (build: Record<string, unknown>) => {
  const object = { apiVersion: 'airshipit.org/v1alpha1', kind: 'ImageBuilder', metadata: { name: 'node' } };
  const { spec } = await parseImageBuilder({ ...object, spec: { build } });
  return resolveBuild('node', spec.build ?? {}, { cwd: home, aptDirectory: '/nonexistent' });
};
const file = (file_content: string) => [{ name: '/etc/x', file_content }];
const findingsOf = async (build: Record<string, unknown>) => {
  const error = await resolve(build).then(
    () => undefined,
    (caught: unknown) => caught,
  );
  if (!(error instanceof InvalidInputError)) throw error ?? new Error('nothing was refused');
  return error.findings();
};
/** The content of a file that is given as a template. */
const render = async (template: string, multistrap: Record<string, unknown> = {}) =>
  (await resolve({ rootfs: { multistrap, osconfig: { files: file(template) } } })).rootfs.osconfig.files[0]
    ?.file_content;

test('filters, statements, and templates in the values of templates; of all images in one run', async () => {
  const { rootfs, qcows } = await resolve({
    rootfs: {
      multistrap: {
        k8s_version: '1.34.2-1.1',
        kernel_base_pkg: "{{ 'linux-image-' ~ rootfs_arch }}",
        packages: "{{ ['kubelet=' ~ k8s_version] + ['vim'] }}",
      },
      osconfig: { files: file("{{ k8s_version.split('-')[0] }} on {{ kernel_base_pkg }}") },
    },
    qcows: {
      one: { qcow: { img_name: 'n' }, osconfig: { files: file('{{ img_name | upper }} {{ k8s_version }}') } },
      two: { osconfig: { files: file('{% raw %}{{ literal }}{% endraw %}') } },
    },
  });
  expect(rootfs.multistrap.kernel_base_pkg).toBe('linux-image-amd64');
  expect(rootfs.multistrap.packages).toEqual(['kubelet=1.34.2-1.1', 'vim']);
  expect(rootfs.osconfig.files[0]?.file_content).toBe('1.34.2 on linux-image-amd64');
  expect(qcows.one?.osconfig.files[0]?.file_content).toBe('N 1.34.2-1.1');
  expect(qcows.two?.osconfig.files[0]?.file_content).toBe('{{ literal }}');
  expect(readdirSync(home)).toEqual([]);
});

test.each([
  ["{{ 'a b' | quote }} {{ 'abc' | hash('sha256') | length }}", "'a b' 64"],
  ["{{ 'abc' | regex_replace('b(.)', '<\\\\1>') }} {{ 'abc' | regex_search('b.') }}", 'a<c> bc'],
  ["{{ {'a': 1} | combine({'b': {'c': 2}}) | to_json }}", '{"a": 1, "b": {"c": 2}}'],
  ["{{ {'a': [1, 'x']} | to_nice_yaml }}", 'a:\n- 1\n- x\n'],
  ["{{ 'text' | b64encode }} {{ 'dGV4dA==' | b64decode }}", 'dGV4dA== text'],
  ["{{ [3, 1] | union([1, 2]) | sort | join(',') }} {{ [[1, [2]]] | flatten }}", '1,2,3 [1, 2]'],
  ["{{ {'b': 1, 'a': 2} | dict2items | map(attribute='key') | sort | list }}.", "['a', 'b']."],
  ["{{ 'yes' | bool | ternary('on', 'off') }} {{ nothing.at.all | default('none') }}", 'on none'],
  ["{{ 'new' if k8s_version is version('1.30', '>=') else 'old' }}", 'new'],
  ['{% for n in range(3) %}{{ n }}{% if not loop.last %},{% endif %}{% endfor %}\n', '0,1,2\n'],
  ['{% macro item(x) %}<{{ x }}>{% endmacro %}{{ item(1) }}', '<1>'],
  ["{{ ['a', 'b'] | map('upper') | select('ne', 'A') | list | ansible.builtin.to_json }}", '["B"]'],
  ['{{ 2 ** 10 }}', '1024'],
  ["{% for n in ['a', 'b'] %}{{ loop.index }}{{ loop.cycle('x', 'y') }}{% endfor %}", '1x2y'],
  ['{{ k8s_version }}\n', '1.34.2\n'],
  // No comment is one: the length of an array, in a script that is a template besides.
  [`${BASH_LENGTH} {{ k8s_version }}; echo "#}"`, `${BASH_LENGTH} 1.34.2; echo "#}"`],
])('%s', async (template, expected) => {
  expect(await render(template, { k8s_version: '1.34.2', packages_append: ['kubelet'] })).toBe(expected);
});

test('a value of any type may be a template; what it becomes is checked', async () => {
  const { rootfs, qcows } = await resolve({
    rootfs: {
      osconfig: {
        files: [
          {
            name: '/x',
            file_content: 'x',
            permissions: "{{ '0644' }}",
            run_contexts: ['{{ default_run_context }}'],
          },
        ],
        systemd: [{ name: 'ssh', enabled: '{{ true }}' }],
        user_management: [{ name: 'a', uid: '{{ 1000 + 1 }}', groups: "{{ ['sudo', 'adm'] }}" }],
        grub: "{{ {'GRUB_TIMEOUT': 3} }}",
      },
      livecdcontent: { mksquashfs_threads: '{{ ansible_processor_vcpus }}' },
    },
    qcows: {
      a: {
        osconfig: { files: [{ name: '/y', file_content: '', run_contexts: '{{ [qcow_run_context] }}' }] },
      },
    },
  });
  expect(rootfs.osconfig).toMatchObject({
    files: [{ permissions: '0644', run_contexts: ['common'] }],
    systemd: [{ enabled: true }],
    user_management: [{ uid: 1001, groups: ['sudo', 'adm'] }],
    grub: { GRUB_TIMEOUT: 3 },
  });
  expect(rootfs.livecdcontent.mksquashfs_threads).toBe(0);
  expect(qcows.a?.osconfig.files.at(-1)?.run_contexts).toEqual(['qcow']);

  const findings = await findingsOf({
    rootfs: {
      multistrap: { packages: ["{{ '--option' | lower }}"] },
      osconfig: { files: [{ name: '/x', file_content: 'x', permissions: "{{ 'rw' ~ '-' }}" }] },
    },
  });
  expect(findings).toMatchObject([
    { field: 'spec.build.rootfs.osconfig.files[0].permissions' },
    { field: 'spec.build.rootfs.multistrap.packages[0]' },
  ]);
  // What is a template in a literal way is as wrong as any other text.
  expect(
    await findingsOf({
      rootfs: {
        osconfig: { systemd: [{ name: 'ssh', enabled: '{% raw %}{{ true }}{% endraw %}' }] },
      },
    }),
  ).toMatchObject([{ field: 'spec.build.rootfs.osconfig.systemd[0].enabled' }]);
});

test('each template that cannot be rendered is named with the one reason, and no value of a variable', async () => {
  const findings = await findingsOf({
    rootfs: {
      multistrap: {
        debconf: [
          { package: 'slapd', question: 'slapd/password1', type: 'password', value: 'DEBCONF-PASSWORD' },
        ],
      },
      osconfig: {
        banners: { motd: 'fine', login: '{% if %}' },
        systemd: [{ name: 'ssh', enabled: "{{ 'perhaps' | lower }}" }],
        user_management: [{ name: 'ops', password_hash: '$6$saltsalt$HASH' }],
        files: [
          ...file('{{ no_such_variable }}'),
          ...file("KEY-OF-THE-SITE\n{{ 'x' | no_such_filter }}"),
          ...file("password=a{{b HUNTER2'"),
          ...file('{{ debconf[0].value + 1 }} {{ grub[debconf[0].value] }}'),
          ...file('{{ grub[debconf[0].value] }}'),
          ...file('{{ ansible_kernel }}'),
        ],
        user_scripts: [{ name: 's', file_content: "#!/bin/sh\npodman ps --format '{{.Names}}'\n" }],
      },
    },
  });
  const at = (name: string) =>
    findings.find(({ field }) => field === `spec.build.rootfs.osconfig.${name}`)?.message;
  expect(findings).toHaveLength(9);
  // What is wrong besides comes along.
  expect(at('systemd[0].enabled')).toMatch(/^is "perhaps", expected/);
  expect(at('banners.login')).toMatch(/^is not a valid template;/);
  expect(at('files[0].file_content')).toMatch(
    /^refers to the variable no_such_variable, which is not defined/,
  );
  expect(at('files[1].file_content')).toBe(
    'uses the filter no_such_filter, which templates of variables do not have',
  );
  expect(at('files[2].file_content')).toMatch(/^is not a valid template;/);
  expect(at('files[3].file_content')).toBe('cannot be computed');
  expect(at('files[4].file_content')).toMatch(/^refers to what is not there;/);
  expect(at('files[5].file_content')).toMatch(/ansible_kernel, which only Ansible knows/);
  expect(at('user_scripts[0].file_content')).toMatch(
    /^is not a valid template \(line 2 of the text\).*\{% raw %\}/,
  );
  expect(JSON.stringify(findings)).not.toMatch(/DEBCONF-PASSWORD|HASH|KEY-OF-THE-SITE|HUNTER2/);
});

test('whatever a template tries, it only ends with an error', async () => {
  const marker = join(home, 'executed');
  const attacks = ATTACKS(marker);
  // In parts, since together they may take longer than all templates of a build may.
  for (let start = 0; start < attacks.length; start += 12) {
    const part = attacks.slice(start, start + 12);
    const files = part.map((file_content, index) => ({ name: `/${index}`, file_content }));
    const findings = await findingsOf({ rootfs: { osconfig: { files } } });
    const refused = new Set(findings.map(({ field }) => field));
    const field = (index: number) => `spec.build.rootfs.osconfig.files[${index}].file_content`;
    expect(part.filter((_, index) => !refused.has(field(index)))).toEqual([]);
    expect(JSON.stringify(findings)).not.toMatch(/root:|<class|built-in|object at 0x/);
  }
  expect(existsSync(marker)).toBe(false);
});

test.each([
  ['plan', ['plan']],
  ['a dry run', ['build', '--dry-run']],
  ['lock --check', ['lock', '--check']],
  ['a build that must not begin', ['build', '--when-missing', 'Fail']],
])('%s executes nothing', async (_, argv) => {
  const marker = join(home, 'executed');
  const spec = join(home, 'spec.yaml');
  const motd = JSON.stringify(`{{ lookup('pipe', 'id > ${marker}') }}`);
  writeFileSync(
    spec,
    `apiVersion: airshipit.org/v1alpha1
kind: ImageBuilder
metadata: {name: x}
spec: {build: {executor: {container: {image: registry.test/x}}, rootfs: {osconfig: {banners: {motd: ${motd}}}}}}
`,
  );
  const [command = '', ...options] = argv;
  const env = { ...process.env, IMAGE_BUILDER_STORE: join(home, 'store') };
  const run = promisify(execFile)(executable('image-builder'), [command, spec, ...options], {
    cwd: home,
    env,
  });
  await expect(run).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      'error: spec.build.rootfs.osconfig.banners.motd: calls lookup, but templates read nothing but variables',
    ),
  });
  expect(existsSync(marker)).toBe(false);
});

// The kernel's limits would end each of these as well, later, and with whatever else is rendered.
test.each([
  ['{{ 10 ** 10000000000 }}', 'computes a number of more than 4096 bits'],
  ["{{ 'x' * 10 ** 9 }}", 'gives a text or list longer than 16 MiB'],
  ['{{ [0] * 10 ** 9 }}', 'gives a text or list longer than 16 MiB'],
])('%s is refused before it is computed', async (template, reason) => {
  const findings = await findingsOf({ rootfs: { osconfig: { files: file(template) } } });
  expect(findings.map(({ message }) => message)).toEqual([reason]);
});

test('results that are short enough by themselves are too long together', async () => {
  const large = file(`{{ 'x' * ${12 << 20} }}`);
  const files = Array.from({ length: 6 }, () => large).flat();
  const findings = await findingsOf({ rootfs: { osconfig: { files } } });
  expect(findings.map(({ field, message }) => `${field}: ${message}`)).toEqual([
    expect.stringMatching(/files\[5\].*: makes the results of all templates longer than 64 MiB$/),
  ]);
});

test('a template that ends the renderer is named', async () => {
  // More than the time of all templates together; the ones before are fine.
  const slow = file('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}');
  const findings = await findingsOf({
    rootfs: {
      osconfig: { files: [...file("{{ 'fine' | upper }}"), ...Array.from({ length: 8 }, () => slow).flat()] },
    },
  });
  expect(findings[0]).toMatchObject({
    field: 'spec.build.rootfs.osconfig.files[1].file_content',
    message: 'takes too long to render',
  });
  expect(findings.at(-1)?.message).toBe('takes too much time or memory to render');
});
