// Text that goes into files with an entry on each line (deb822 sources, fstab, limits.conf, unit files, passwd, ...) cannot
// bring a line of its own: every text of the variables is on one line, but those that are files themselves.
import { LivecdcontentVariables } from '../../../../image-builder/spec/api/schema/livecdcontent.ts';
import { MultistrapVariables } from '../../../../image-builder/spec/api/schema/multistrap.ts';
import { OsconfigVariables } from '../../../../image-builder/spec/api/schema/osconfig.ts';
import { QcowVariables } from '../../../../image-builder/spec/api/schema/qcow.ts';

interface Schema {
  type?: string | string[];
  pattern?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
  anyOf?: Schema[];
}

/** Fields that are the content of a file, or a key with its own line format. */
const FILES = ['file_content', 'override', 'login', 'motd', 'keyring'];

/** Something that each pattern accepts. */
const SAMPLES = [
  ...['a', 'ab', '1', '1G', '1MiB', '0755', '{{ a }}', 'a/b', '/a', 'http://a', '$6$a'],
  ...[`sha256:${'a'.repeat(64)}`, 'none', '20261101T000000Z'],
];
const BREAKS = ['\n', '\r', '\r\n', '\v', '\f', '\0', '\x1b', '\x7f', '\x85', '\u2028', '\u2029'];

function* texts(schema: Schema, path: string): Generator<[string, Schema]> {
  const isText = [schema.type].flat().includes('string');
  if (isText && schema.enum === undefined && schema.const === undefined) yield [path, schema];
  for (const [name, child] of Object.entries(schema.properties ?? {})) yield* texts(child, `${path}.${name}`);
  for (const child of schema.anyOf ?? []) yield* texts(child, path);
  if (schema.items) yield* texts(schema.items, `${path}[]`);
}

const roles = { multistrap: MultistrapVariables, osconfig: OsconfigVariables, qcow: QcowVariables };
const fields = Object.entries({ ...roles, livecdcontent: LivecdcontentVariables })
  .flatMap(([name, schema]) => [...texts(schema as Schema, name)])
  .filter(([path]) => !FILES.includes(path.split('.').at(-1) ?? ''))
  // Packages as text are taken apart at all white space, and then checked one by one.
  .filter(([path]) => !/packages(_append)?$/.test(path));

test('there are fields to look at', () => expect(fields.length).toBeGreaterThan(80));

test.each(fields)('%s', (_, { pattern = '' }) => {
  const expression = new RegExp(pattern, 'u');
  const accepted = SAMPLES.filter((sample) => expression.test(sample));
  expect(accepted).not.toEqual([]);
  const broken = accepted.flatMap((sample) =>
    BREAKS.flatMap((at) => [`${sample}${at}`, `${sample}${at}${sample}`]),
  );
  expect(broken.filter((text) => expression.test(text)).map((text) => JSON.stringify(text))).toEqual([]);
});
