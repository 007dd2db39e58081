// Templates in variables: plain references are replaced by references.ts, everything else by Jinja's sandbox.
import type { Finding } from '../../base/diagnostics/error.ts';
import { type FieldPath, formatFieldPath } from '../../base/diagnostics/field-path.ts';
import { isTemplate } from '../api/template.ts';
import type { JinjaAnswer } from './jinja.ts';
import type { Layer } from './overrides.ts';
import { mergeLayers } from './overrides.ts';
import { Budget, References, TooLongError } from './references.ts';
import { inFile } from './variable-files.ts';

/** The layers of one image by role. */
export type Scope = { [role: string]: Layer[] };

/** The layers of all images. */
export interface Scopes {
  rootfs: Scope;
  qcows: Record<string, Scope>;
}

/** A text that is a template, and where its value goes. */
interface Place {
  template: string;
  container: Record<string, unknown>;
  key: string;
  path: FieldPath;
  layer: Layer;
}

/** The variables that an image's templates see, and those templates. */
interface Image {
  variables: Record<string, unknown>;
  places: Place[];
}

/**
 * @param defaults variables that can be referred to though nobody has set them.
 * @param findings gets one for each template that cannot be rendered and stays as it is; it tells no variable's value
 * @returns the same layers with every template rendered.
 * @throws ToolError TOOL_MISSING when there is nothing to render templates with
 */
export async function renderTemplates(
  defaults: Record<string, unknown>,
  scopes: Scopes,
  findings: Finding[],
  signal?: AbortSignal,
): Promise<Scopes> {
  // Most builds have none; to know the variables that every image sees is work.
  if (!hasTemplate(scopes)) return scopes;
  const images: Image[] = [];
  const copy = (scope: Scope, below: Record<string, unknown>) => {
    const image: Image = { variables: visibleVariables(below, scope), places: [] };
    images.push(image);
    return copyScope(scope, image.places);
  };
  const rootfs = copy(scopes.rootfs, defaults);
  const variables = images[0]?.variables ?? {};
  const qcows = Object.fromEntries(
    Object.entries(scopes.qcows).map(([name, scope]) => [name, copy(scope, variables)]),
  );
  await renderByJinja(replaceReferences(images, findings), findings, signal);
  return { rootfs, qcows };
}

const visibleVariables = (below: Record<string, unknown>, scope: Scope) =>
  withSynonyms(mergeLayers([{ values: below }, ...Object.values(scope).flat()]));

const withSynonyms = (variables: Record<string, unknown>) => ({
  ...variables,
  ubuntu_packages: variables.packages,
});

/** What somebody has written, in all layers. */
const valuesOf = ({ rootfs, qcows }: Scopes) =>
  [rootfs, ...Object.values(qcows)].flatMap((scope) =>
    Object.values(scope).flatMap((layers) => layers.map(({ values }) => values)),
  );

/** Every text in `value` that is a template. */
function* templatesIn(value: unknown): Generator<string> {
  if (typeof value === 'string') {
    if (isTemplate(value)) yield value;
  } else if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) yield* templatesIn(item);
  }
}

/**
 * Names of variables that templates may refer to: the words in expressions and statements that are no attribute, no filter
 * and no text.
 */
export function referredNames(scopes: Scopes): Set<string> {
  const names = new Set<string>();
  for (const template of templatesIn(valuesOf(scopes))) {
    for (const part of template.split(/\{[{%]/).slice(1)) {
      const [code = ''] = part.split(/[%}]\}/, 1);
      const words = code.replace(/'[^']*'|"[^"]*"/g, ' ').matchAll(/(?=[A-Za-z_])(?<![\w.])(?<!\|\s*)\w+/g);
      for (const [word] of words) names.add(word);
    }
  }
  return names;
}

const hasTemplate = (scopes: Scopes): boolean => templatesIn(valuesOf(scopes)).next().done === false;

/** The layers with values of their own, in which `places` has every template. */
function copyScope(scope: Scope, places: Place[]): Scope {
  const copy = (value: unknown, path: FieldPath, layer: Layer): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const container = (Array.isArray(value) ? [] : {}) as Record<string, unknown>;
    for (const [key, item] of Object.entries(value)) {
      const at = [...path, Array.isArray(value) ? Number(key) : key];
      if (typeof item === 'string' && isTemplate(item)) {
        places.push({ template: item, container, key, path: at, layer });
      }
      // Defined, not assigned: a variable may be called __proto__.
      const property = { value: copy(item, at, layer), writable: true, enumerable: true, configurable: true };
      Object.defineProperty(container, key, property);
    }
    return container;
  };
  return Object.fromEntries(
    Object.entries(scope).map(([role, layers]) => [
      role,
      layers.map((layer) => ({
        ...layer,
        values: copy(layer.values, layer.field, layer) as Record<string, unknown>,
      })),
    ]),
  );
}

/** Fills in what is no more than references. @returns what is left */
function replaceReferences(images: readonly Image[], findings: Finding[]): Image[] {
  const budget = new Budget();
  return images.map(({ variables, places }) => {
    const references = new References(variables, budget);
    const left = places.filter((place) => {
      try {
        const replaced = references.replace(place.template);
        if (replaced) place.container[place.key] = replaced.value;
        return replaced === undefined;
      } catch (error) {
        if (!(error instanceof TooLongError)) throw error;
        findings.push(finding(place, error.message));
        return false;
      }
    });
    return { variables, places: left };
  });
}

async function renderByJinja(
  images: readonly Image[],
  findings: Finding[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const needed = images.filter(({ places }) => places.length > 0);
  if (needed.length === 0) return;
  const requests = needed.map(({ variables, places }) => ({
    variables,
    templates: places.map(({ template }) => template),
  }));
  const jinja = await import('./jinja.ts');
  const answers = await jinja.renderByJinja(requests, signal);
  const places = needed.flatMap((image) => image.places);
  for (const [index, answer] of answers.entries()) {
    const place = places[index] as Place;
    if ('value' in answer) place.container[place.key] = answer.value;
    else findings.push(finding(place, explain(place, answer)));
  }
}

function explain(
  { template }: Place,
  { reason, line, literal }: Exclude<JinjaAnswer, { value: unknown }>,
): string {
  const where = line !== undefined && template.includes('\n') ? ` (line ${line} of the text)` : '';
  const hint = '; put literal {{ or {% between {% raw %} and {% endraw %}';
  return `${reason}${where}${literal ? hint : ''}`;
}

const finding = ({ path, layer }: Place, message: string): Finding =>
  inFile({ severity: 'error', field: formatFieldPath(path), message }, layer);
