// Label selectors as Kubernetes writes them in text: `a=b, c!=d, e in (f, g), h notin (i), j, !k`
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors).

/** One requirement of a selector. */
interface Requirement {
  key: string;
  /** `in` without values asks for the key alone. */
  operator: 'in' | 'notin' | 'exists' | 'absent';
  values: string[];
}

const KEY = '([A-Za-z0-9](?:[A-Za-z0-9_./-]*[A-Za-z0-9])?)';
const SET = new RegExp(`^${KEY}\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const EQUALITY = new RegExp(`^${KEY}\\s*(=|==|!=)\\s*([A-Za-z0-9_.-]*)$`);
const EXISTENCE = new RegExp(`^(!?)\\s*${KEY}$`);

/**
 * Compiles a selector; the empty one matches everything.
 * @throws SyntaxError with the requirement that is not understood
 */
export function parseLabelSelector(text: string): (labels: Readonly<Record<string, unknown>>) => boolean {
  const requirements = splitRequirements(text).map(parseRequirement);
  return (labels) => requirements.every((requirement) => holds(requirement, labels));
}

/** Splits at the commas that are not in parentheses. */
function splitRequirements(text: string): string[] {
  if (text.trim() === '') return [];
  return text.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function parseRequirement(text: string): Requirement {
  const set = SET.exec(text);
  if (set) {
    const [, key = '', operator, list = ''] = set;
    return {
      key,
      operator: operator as 'in' | 'notin',
      values: list.split(',').map((value) => value.trim()),
    };
  }
  const equality = EQUALITY.exec(text);
  if (equality) {
    const [, key = '', operator, value = ''] = equality;
    return { key, operator: operator === '!=' ? 'notin' : 'in', values: [value] };
  }
  const existence = EXISTENCE.exec(text);
  if (existence) {
    const [, not, key = ''] = existence;
    return { key, operator: not ? 'absent' : 'exists', values: [] };
  }
  throw new SyntaxError(`${JSON.stringify(text)} is not a requirement of a label selector`);
}

function holds({ key, operator, values }: Requirement, labels: Readonly<Record<string, unknown>>): boolean {
  const has = Object.hasOwn(labels, key);
  const matches = has && values.includes(String(labels[key]));
  switch (operator) {
    case 'in':
      return matches;
    case 'notin':
      return !matches;
    case 'exists':
      return has;
    case 'absent':
      return !has;
  }
}
