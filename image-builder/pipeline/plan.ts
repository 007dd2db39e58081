// Plans a build: which stages it has and the key of each. Pure: no file, tool, clock or environment has a say.
import { hashOf, type KnownForms } from './keys.ts';

/** A stage before it has a key. */
export interface StageDefinition<Inputs = unknown> {
  /** Unique in the build: `rootfs`, `qcow/control-plane`, ... */
  name: string;
  /** The kind of work: `rootfs`, `qcow`, ... */
  kind: string;
  /** Everything that its result depends on beside its parents and tools; plain data. */
  inputs: Inputs;
  /** Names of the stages whose results it starts from; they come before it in the list. */
  parents: readonly string[];
  /** The parent whose unpacked tree it goes on with, where that is still there. */
  treeOf?: string;
  /** Debian packages of the tools whose versions influence its bytes. */
  tools: readonly string[];
}

/** Versions of Debian packages by name. */
export type ToolVersions = Readonly<Record<string, string>>;

/** A stage with its identity. */
export interface PlannedStage extends StageDefinition {
  /** Identity of the code that it runs; empty for a kind whose key covers no code. */
  code: string;
  /** Hash of the inputs and the code, its own and that of all ancestors: what was asked for. */
  recipe: string;
  /** Hash of the recipe and of the tools of the stage and its ancestors: what the bytes depend on. */
  key: string;
  /** The versions of its own tools. */
  toolVersions: ToolVersions;
}

/** Stages that are taken as they are in the store, by name. */
export type PinnedStages = Record<string, Pick<PlannedStage, 'key' | 'recipe' | 'inputs' | 'toolVersions'>>;

/** Bumped when entries get another content for the same inputs though no stage's code has changed. */
const KEY_FORMAT = 2;

/**
 * Gives each stage its keys, those of pinned stages excepted.
 * @param code identity of the code that each kind of stage runs; a kind without one runs code that is in no key
 * @param tools versions of the tools of this machine; a tool that is not there has the version `absent`
 */
export function planStages(
  definitions: readonly StageDefinition[],
  code: Readonly<Record<string, string>>,
  tools: ToolVersions,
  pinned: PinnedStages = {},
): PlannedStage[] {
  const planned = new Map<string, PlannedStage>();
  const known: KnownForms = new WeakMap();
  for (const definition of definitions) {
    const { name, kind, inputs } = definition;
    if (pinned[name]) {
      planned.set(name, { ...definition, code: code[kind] ?? '', ...pinned[name] });
      continue;
    }
    const parents = definition.parents.map((parent) => {
      const found = planned.get(parent);
      if (!found) throw new TypeError(`stage ${name} comes before its parent ${parent}`);
      return found;
    });
    const toolVersions: Record<string, string> = {};
    for (const tool of [...definition.tools].sort()) toolVersions[tool] = tools[tool] ?? 'absent';
    const recipe = hashOf(
      {
        format: KEY_FORMAT,
        code: code[kind] ?? '',
        kind,
        inputs,
        parents: parents.map((parent) => parent.recipe),
      },
      known,
    );
    const key = hashOf({ recipe, toolVersions, parents: parents.map((parent) => parent.key) });
    planned.set(name, { ...definition, code: code[kind] ?? '', recipe, key, toolVersions });
  }
  return [...planned.values()];
}
