// The ConfigMap contract against what the predecessor's own function has answered: predecessor-answers.yaml.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, type Tags } from 'yaml';
import { HANDLERS } from '../../../functions/image-builder/engine-command.ts';
import { readQuestion, runOnQuestion } from '../../../functions/image-builder/run.ts';
import { silentReporter } from '../../../image-builder/base/diagnostics/progress.ts';

interface Recorded {
  name: string;
  profile: string;
  data: Record<string, string>;
  item: string;
}

const recorded: Recorded[] = parse(readFileSync(join(__dirname, 'predecessor-answers.yaml'), 'utf8'));
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'predecessor-'));
  mkdirSync(join(directory, 'profiles'));
  writeFileSync(join(directory, 'profiles/profile_qcow_a.json'), '{"qcow_capacity":"19G"}');
});
afterAll(() => rmSync(directory, { recursive: true }));

/** As the readers of the answers see them: YAML 1.1, where `on` is a boolean; `<<` is text for both functions. */
const meaning = (text: string) => {
  const customTags = (tags: Tags) =>
    tags.filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:merge');
  return parse(text.replaceAll('!!merge <<', '"<<"'), { version: '1.1', customTags });
};

test.each(recorded.map((one) => [one.name, one] as const))('%s', async (_, { profile, data, item }) => {
  writeFileSync(join(directory, 'profiles/profile_multistrap.json'), profile);
  const functionConfig = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data };
  const input = { apiVersion: 'config.kubernetes.io/v1', kind: 'ResourceList', items: [], functionConfig };
  const { output } = await runOnQuestion(
    readQuestion(JSON.stringify(input)),
    {
      cwd: directory,
      profilesDirectory: join(directory, 'profiles'),
      report: silentReporter,
      signal: new AbortController().signal,
    },
    HANDLERS,
  );
  const [answer] = meaning(output).items;
  // Ours names a file for kpt, where the predecessor's objects collided.
  for (const name of Object.keys(answer.metadata.annotations ?? {}))
    if (/config\.kubernetes\.io\/(index|path)$/.test(name)) delete answer.metadata.annotations[name];
  if (Object.keys(answer.metadata.annotations ?? {}).length === 0) delete answer.metadata.annotations;
  expect(answer).toEqual(meaning(item));
});
