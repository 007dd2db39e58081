// What an entry of the store tells of its stage, with types: the one place that takes it for what the stage has written.
// A stage's key covers its code, and the store has checked the entry's digest.

/** What is recorded of every stage. */
interface RecordedStage {
  kind: string;
  inputs: unknown;
  facts: Readonly<Record<string, unknown>>;
}

/**
 * The facts that a stage of this kind has noted.
 * @throws TypeError for the entry of another kind, or none
 */
export function factsOf<Facts extends object>(
  kind: string,
  entry: Pick<RecordedStage, 'kind' | 'facts'> | undefined,
): Facts {
  requireKind(kind, entry);
  return entry.facts as Facts;
}

/**
 * The inputs that a stage of this kind was made from.
 * @throws TypeError for the entry of another kind, or none
 */
export function inputsOf<Inputs>(
  kind: string,
  entry: Pick<RecordedStage, 'kind' | 'inputs'> | undefined,
): Inputs {
  requireKind(kind, entry);
  return entry.inputs as Inputs;
}

function requireKind<Entry extends { kind: string }>(
  kind: string,
  entry: Entry | undefined,
): asserts entry is Entry {
  if (entry?.kind !== kind) throw new TypeError(`expected a result of ${kind}, not ${entry?.kind}`);
}
