// Plain references, `kubelet={{ k8s_version }}`, which are nearly all that templates are: replaced here, so that no process
// is started for them. Results are bounded: few lines can refer to each other so that they would fill any memory.
import { isTemplate } from '../api/template.ts';

/** Characters of one text with what it refers to; in a list, each value counts as one more. The same as in limits.py. */
const LONGEST = 16 * 1024 * 1024;
/** Of all of them together. */
const LONGEST_IN_ALL = 64 * 1024 * 1024;
/** Variables that refer to variables. */
const DEEPEST = 60;

const REFERENCE = /\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}\}/g;
const SOLE_REFERENCE = new RegExp(`^\\s*${REFERENCE.source}\\s*$`);

/** What has been given out so far, of all images together. */
export class Budget {
  #left = LONGEST_IN_ALL;

  /** @throws TooLongError */
  take(size: number): void {
    this.#left -= size;
    if (size > LONGEST) throw new TooLongError(`yields more than ${LONGEST >> 20} MiB`);
    if (this.#left < 0)
      throw new TooLongError(`takes all results together beyond ${LONGEST_IN_ALL >> 20} MiB`);
  }
}

/** A template whose result would be too long; the message is a predicate about it. */
export class TooLongError extends Error {}

/** A value without templates, and what it counts. */
interface Replaced {
  value: unknown;
  size: number;
}

/** Replaces references to the variables of one image. */
export class References {
  readonly #variables: Record<string, unknown>;
  readonly #budget: Budget;
  /** By name; undefined where more than references is needed. */
  readonly #known = new Map<string, Replaced | undefined>();
  readonly #active = new Set<string>();

  constructor(variables: Record<string, unknown>, budget: Budget) {
    this.#variables = variables;
    this.#budget = budget;
  }

  /**
   * The value of a template: text, or a number or list when it is nothing but a reference to one.
   * @returns undefined when it is more than references, or when one of them leads to something else, or to nothing
   * @throws TooLongError
   */
  replace(template: string): { value: unknown } | undefined {
    const replaced = this.#replaceText(template);
    if (replaced) this.#budget.take(replaced.size);
    return replaced;
  }

  #replaceText(text: string): Replaced | undefined {
    if (!isTemplate(text)) return { value: text, size: text.length };
    const sole = SOLE_REFERENCE.exec(text)?.[1];
    const target = sole === undefined ? undefined : this.#follow(sole);
    if (typeof target?.value === 'number' || Array.isArray(target?.value)) return target;
    if (isTemplate(text.replace(REFERENCE, ''))) return undefined;
    const pieces: string[] = [];
    let size = 0;
    let end = 0;
    for (const match of text.matchAll(REFERENCE)) {
      const found = this.#follow(match[1] as string);
      if (typeof found?.value !== 'string' && typeof found?.value !== 'number') return undefined;
      pieces.push(text.slice(end, match.index), String(found.value));
      end = match.index + match[0].length;
      size += found.size;
      if (size > LONGEST) throw new TooLongError(`yields more than ${LONGEST >> 20} MiB`);
    }
    const value = pieces.join('') + text.slice(end);
    return { value, size: value.length };
  }

  #follow(name: string): Replaced | undefined {
    if (this.#known.has(name)) return this.#known.get(name);
    if (this.#active.has(name) || this.#active.size > DEEPEST) return undefined;
    this.#active.add(name);
    const replaced = this.#replaceValue(this.#lookUp(name));
    this.#active.delete(name);
    this.#known.set(name, replaced);
    return replaced;
  }

  #lookUp(name: string): unknown {
    return name.split('.').reduce<unknown>((inner, key) => {
      const isMap = typeof inner === 'object' && inner !== null && !Array.isArray(inner);
      return isMap && Object.hasOwn(inner, key) ? (inner as Record<string, unknown>)[key] : undefined;
    }, this.#variables);
  }

  #replaceValue(value: unknown): Replaced | undefined {
    if (typeof value === 'string') return this.#replaceText(value);
    if (typeof value !== 'object' || value === null) {
      return value === undefined ? undefined : { value, size: String(value).length };
    }
    let size = 1;
    const add = (item: unknown) => {
      const replaced = this.#replaceValue(item);
      size += (replaced?.size ?? 0) + 1;
      if (size > LONGEST) throw new TooLongError(`yields more than ${LONGEST >> 20} MiB`);
      return replaced;
    };
    const items = Object.entries(value).map(([key, item]) => [key, add(item)] as const);
    if (items.some(([, item]) => item === undefined)) return undefined;
    const values = items.map(([key, item]) => [key, item?.value] as const);
    return {
      value: Array.isArray(value) ? values.map(([, item]) => item) : Object.fromEntries(values),
      size,
    };
  }
}
