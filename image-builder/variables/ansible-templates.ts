// Renders variables by Ansible's own templating, for whatever templates.ts does not do itself.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finding, InvalidInputError } from '../diagnostics/error.ts';
import { type FieldPath, formatFieldPath } from '../diagnostics/field-path.ts';
import { writeAssets } from '../embedded/write-assets.ts';
import { createLocalSandbox } from '../executors/local-sandbox.ts';
import { ToolError } from '../executors/tool-error.ts';
import { requireTools } from '../executors/tools.ts';
import type { Layer } from './layers.ts';
import { hasMarker, type Scope } from './templates.ts';

interface Rendering {
  scope: Scope;
  /** Variables that the templates can refer to. */
  variables: Record<string, unknown>;
}

/**
 * One run of Ansible for all `renderings`; Ansible resolves templates in the values of templates by itself.
 * @throws InvalidInputError that names the fields with the template that failed
 */
export async function renderByAnsible(
  renderings: readonly Rendering[],
  signal: AbortSignal | undefined,
): Promise<Scope[]> {
  requireTools(['osconfig']);
  const directory = await mkdtemp(join(tmpdir(), 'image-builder-variables-'));
  try {
    const ansible = join(directory, 'ansible');
    const output = join(directory, 'output');
    await writeAssets('ansible', ansible);
    await mkdir(output);
    const hosts = Object.fromEntries(
      renderings.map(({ scope, variables }, index) => [
        `image${index}`,
        { ...variables, image_builder_layers: scope, image_builder_output: output },
      ]),
    );
    const inventory = join(directory, 'inventory.json');
    await writeFile(inventory, JSON.stringify({ all: { hosts } }), { mode: 0o600 });
    const sandbox = await createLocalSandbox({ mode: 'plain' });
    await sandbox.run(
      ['ansible-playbook', '--connection', 'local', '--inventory', inventory, 'render-variables.yaml'],
      {
        cwd: ansible,
        env: {
          ANSIBLE_CONFIG: join(ansible, 'ansible.cfg'),
          // Otherwise it leaves a directory in the home of whoever builds.
          ANSIBLE_HOME: join(directory, 'home'),
          ANSIBLE_LOCAL_TEMP: join(directory, 'tmp'),
        },
        ...(signal ? { signal } : {}),
      },
    );
    return await Promise.all(
      renderings.map(
        async (_, index) => JSON.parse(await readFile(join(output, `image${index}.json`), 'utf8')) as Scope,
      ),
    );
  } catch (error) {
    if (!(error instanceof ToolError) || error.code !== 'TOOL_FAILED') throw error;
    throw templateError(error, renderings);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Ansible says which variable is unknown, not where: the fields with templates that mention it are named. */
function templateError(error: ToolError, renderings: readonly Rendering[]): InvalidInputError {
  const output = (error.output ?? []).join('\n');
  const unknown = /'([\w.]+)' is undefined/.exec(output)?.[1];
  const reason = unknown
    ? `refers to the variable ${unknown}, which is not defined`
    : `is a template that Ansible cannot render: ${/"msg": "(.*?)"[,}]?/.exec(output)?.[1] ?? output}`;
  const layers = renderings.flatMap(({ scope }) => Object.values(scope).flat());
  const fields = layers.flatMap((layer) =>
    templates(layer.values, layer.field).map((template) => ({ ...template, layer })),
  );
  const guilty = fields.filter(({ text }) => unknown === undefined || text.includes(unknown));
  const findings = (guilty.length > 0 ? guilty : fields).map(({ path, layer }) =>
    finding(path, layer, reason),
  );
  return new InvalidInputError(findings, {
    cause: error,
    hint: 'text that is meant to have {{ or {% in it goes between {% raw %} and {% endraw %}',
  });
}

const finding = (path: FieldPath, { file }: Layer, message: string): Finding => ({
  severity: 'error',
  field: formatFieldPath(path),
  message,
  ...(file === undefined ? {} : { file }),
});

function templates(value: unknown, path: FieldPath): { path: FieldPath; text: string }[] {
  if (typeof value === 'string') return hasMarker(value) ? [{ path, text: value }] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, item]) =>
    templates(item, [...path, Array.isArray(value) ? Number(name) : name]),
  );
}
