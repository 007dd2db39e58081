// Scores of the Common Vulnerability Scoring System 4.0 (https://www.first.org/cvss/v4.0/specification-document, section 8):
// vectors are grouped into 270 classes ("macro vectors") with a score each, and within its class a vector loses a part of the
// distance to the next class below.

/** What a metric may be, the most severe first; each is one step below the one before. */
const METRICS: Record<string, string> = {
  ...{ AV: 'NALP', AC: 'LH', AT: 'NP', PR: 'NLH', UI: 'NPA' },
  ...{ VC: 'HLN', VI: 'HLN', VA: 'HLN', SC: 'HLN', SI: 'SHLN', SA: 'SHLN' },
  ...{ E: 'APU', CR: 'HML', IR: 'HML', AR: 'HML' },
};
/** Only a modified metric can say that somebody may be hurt. */
const SAFETY = ['SI', 'SA'];
/** Of these the worst is assumed when nothing is said. */
const OPTIONAL = ['E', 'CR', 'IR', 'AR'];
/** Known, and without influence on a score. */
const SUPPLEMENTAL = ['S', 'AU', 'R', 'V', 'RE', 'U'];

/** Of the base metrics there are modified ones. */
const KNOWN = new Set([
  ...Object.keys(METRICS),
  ...Object.keys(METRICS).flatMap((name) => (OPTIONAL.includes(name) ? [] : [`M${name}`])),
  ...SUPPLEMENTAL,
]);

/** How far down a metric is, in steps, by its name. */
type Steps = Readonly<Record<string, number>>;

/**
 * Scores by equivalence classes 1, 2, 3 and 6; in each row by class 4, and within that by class 5 (section 8.3, "CVSS v4.0 Scoring
 * using MacroVectors").
 */
const SCORES = new Map(
  `0000 10 9.8 9.5 10 9.3 9.1 9.3 8.9 8.1
0001 9.9 9.5 9.2 9.6 8.7 8.1 9 8 6.8
0010 9.8 9.5 9 9.3 8.9 8.1 8.8 7.8 6.9
0011 9.5 9.2 8.4 9.2 8.1 6.5 8 7 4.8
0021 9.2 8.2 7.2 7.9 6.9 5 6.9 5.5 2.7
0100 9.9 9.5 9.2 9.5 9 8.4 9.2 8.2 7.2
0101 9.7 9.2 8.5 9.1 8.3 7.1 8.1 7.1 5.3
0110 9.5 9.2 8.5 9.2 8 7 8.4 7.1 5
0111 9.3 8.5 7.3 8.2 7.2 5.9 7 5.2 3
0121 8.6 7.5 5.2 7.1 5.2 2.9 6.3 2.9 1.7
1000 9.8 9.4 9.1 9.4 8.6 7.7 8.7 7.4 6.3
1001 9.5 8.7 8.1 8.9 7.4 6.4 7.5 6.3 4.9
1010 9.4 8.8 7.6 8.6 7.4 5.9 7.2 5.7 5.2
1011 8.9 7.7 6.7 7.6 5.8 5 5.7 5.2 2.5
1021 8.3 7 5.4 6.5 5.8 2.6 5.3 2.1 1.3
1100 9.5 8.8 7.6 9 7.5 6.1 7.7 6.8 5.2
1101 9 7.6 7 7.7 6.2 5.3 6.6 5.9 3
1110 8.9 7.6 6.2 7.4 5.7 4.7 6.1 5.7 2.4
1111 7.8 6.7 5.8 5.9 5.7 2.3 5.2 2.9 1.6
1121 7.1 5.9 3 5.8 2.6 1.5 2.3 1.3 0.6
2000 9.3 8.6 7.5 8.6 7.4 5.6 7 5.2 4
2001 8.7 7.2 5.8 7.4 6.1 3.4 5.4 4 2.2
2010 8.5 7.4 6.2 7.2 5.5 4.6 5.3 3.4 1.9
2011 7.5 5.5 5.1 5.7 4.1 1.9 3.6 1.9 0.8
2021 6.4 5.1 2 4.7 2.1 1.1 2.4 0.9 0.4
2100 8.8 7.3 6 7.3 5.9 4.1 5.4 4.5 2
2101 7.5 5.3 5 5.5 4 2 4.3 2.2 1.1
2110 7.5 5.8 4 6.1 4.8 2 4.6 1.7 0.8
2111 5.5 4.5 2.1 5.1 1.8 0.9 1.8 0.7 0.2
2121 5.3 2.4 1.4 2.4 1.2 0.5 1 0.3 0.1`
    .split('\n')
    .map((row): [string, number[]] => {
      const [classes = '', ...scores] = row.split(' ');
      return [classes, scores.map(Number)];
    }),
);

/** Metrics that count together, in each class the vectors that are its most severe ones, and how many steps it is deep. */
interface Group {
  metrics: readonly string[];
  highest: readonly (readonly string[])[];
  depth: readonly number[];
}

/** Section 8.2: equivalence classes 1, 2 and 4. */
const EXPLOITABILITY: Group = {
  metrics: ['AV', 'PR', 'UI'],
  highest: [['NNN'], ['ANN', 'NLN', 'NNP'], ['PNN', 'ALP']],
  depth: [1, 4, 5],
};
const COMPLEXITY: Group = { metrics: ['AC', 'AT'], highest: [['LN'], ['HN', 'LP']], depth: [1, 2] };
const SUBSEQUENT: Group = {
  metrics: ['SC', 'SI', 'SA'],
  highest: [['HSS'], ['HHH'], ['LLL']],
  depth: [6, 5, 4],
};
/** Classes 3 and 6 together, as they depend on each other: 00, 01, 10, 11, 21. */
const VULNERABLE: Group = {
  metrics: ['VC', 'VI', 'VA', 'CR', 'IR', 'AR'],
  highest: [
    ['HHHHHH'],
    ['HHLMMH', 'HHHMMM'],
    ['LHHHHH', 'HLHHHH'],
    ['LHLHMH', 'LHHHMM', 'HLHMHM', 'HLLMHH', 'LLHHHM'],
    ['LLLHHH'],
  ],
  depth: [7, 6, 8, 8, 10],
};
const VULNERABLE_CLASSES = ['00', '01', '10', '11', '21'];

/**
 * The score of a vector with everything that it says, be it base, threat or environmental metrics.
 * @param vector `CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N`
 * @returns undefined for other versions, and vectors that are incomplete or malformed
 */
export function score4(vector: string): number | undefined {
  const steps = stepsOf(vector);
  if (!steps) return undefined;
  const impacts = ['VC', 'VI', 'VA', 'SC', 'SI', 'SA'];
  if (impacts.every((name) => letterOf(name, steps) === 'N')) return 0;

  const classes = classesOf(steps);
  const score = scoreOf(classes) ?? 0;
  const { one, two, three, four } = classes;
  const losses = [
    lossOf(EXPLOITABILITY, one, steps, scoreOf({ ...classes, one: one + 1 })),
    lossOf(COMPLEXITY, two, steps, scoreOf({ ...classes, two: two + 1 })),
    lossOf(VULNERABLE, VULNERABLE_CLASSES.indexOf(three), steps, nextVulnerable(classes)),
    lossOf(SUBSEQUENT, four, steps, scoreOf({ ...classes, four: four + 1 })),
    // Class 5 has one metric: nothing is below its most severe vector.
    scoreOf({ ...classes, five: classes.five + 1 }) === undefined ? undefined : 0,
  ].filter((loss) => loss !== undefined);
  const mean = losses.length === 0 ? 0 : losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return Math.round(Math.min(Math.max(score - mean, 0), 10) * 10 + 1e-6) / 10;

  /** What a vector loses that lies below the most severe ones of its class; undefined where no class is below. */
  function lossOf(
    { metrics, highest, depth }: Group,
    index: number,
    at: Steps,
    below: number | undefined,
  ): number | undefined {
    if (below === undefined) return undefined;
    return ((score - below) * distance(metrics, highest[index] ?? [], at)) / (depth[index] ?? 1);
  }
}

/** The steps from the first of the most severe vectors that is above this one in every metric. */
function distance(metrics: readonly string[], highest: readonly string[], steps: Steps): number {
  for (const vector of highest) {
    const distances = metrics.map(
      (name, index) => (steps[name] ?? 0) - (METRICS[name] ?? '').indexOf(vector[index] ?? ''),
    );
    if (distances.every((one) => one >= 0)) return distances.reduce((sum, one) => sum + one, 0);
  }
  return 0;
}

/** Equivalence classes; 3 and 6 as {@link VULNERABLE_CLASSES} has them. */
interface Classes {
  one: number;
  two: number;
  three: string;
  four: number;
  five: number;
}

function scoreOf({ one, two, three, four, five }: Classes): number | undefined {
  return four > 2 || five > 2 ? undefined : SCORES.get(`${one}${two}${three}`)?.[four * 3 + five];
}

/** Of the classes below that differ in 3 or 6; where both ways lead down, the one that loses less. */
function nextVulnerable(classes: Classes): number | undefined {
  const below: Record<string, string[]> = { '00': ['01', '10'], '01': ['11'], '10': ['11'], '11': ['21'] };
  const scores = (below[classes.three] ?? []).flatMap((three) => scoreOf({ ...classes, three }) ?? []);
  return scores.length > 0 ? Math.max(...scores) : undefined;
}

/** Section 8.2, tables 24 to 29. */
function classesOf(steps: Steps): Classes {
  const is = (name: string, letter: string) => letterOf(name, steps) === letter;
  const reachable = [is('AV', 'N'), is('PR', 'N'), is('UI', 'N')];
  const high = [is('VC', 'H'), is('VI', 'H'), is('VA', 'H')];
  const needed = [is('CR', 'H'), is('IR', 'H'), is('AR', 'H')];
  const three = high[0] && high[1] ? 0 : high.some(Boolean) ? 1 : 2;
  return {
    one: reachable.every(Boolean) ? 0 : reachable.some(Boolean) && !is('AV', 'P') ? 1 : 2,
    two: is('AC', 'L') && is('AT', 'N') ? 0 : 1,
    three: `${three}${high.some((one, index) => one && needed[index]) ? 0 : 1}`,
    four: is('SI', 'S') || is('SA', 'S') ? 0 : is('SC', 'H') || is('SI', 'H') || is('SA', 'H') ? 1 : 2,
    five: steps.E ?? 0,
  };
}

const letterOf = (name: string, steps: Steps): string => METRICS[name]?.[steps[name] ?? -1] ?? '';

function stepsOf(vector: string): Steps | undefined {
  const [version, ...parts] = vector.split('/');
  if (version !== 'CVSS:4.0') return undefined;
  const given = new Map(parts.map((part): [string, string] => [part.split(':')[0] ?? '', part]));
  if (given.size < parts.length) return undefined;
  const value = (name: string) => given.get(name)?.slice(name.length + 1);
  if (![...given.keys()].every((name) => KNOWN.has(name))) return undefined;
  const steps: Record<string, number> = {};
  for (const [name, letters] of Object.entries(METRICS)) {
    const base = value(name);
    const allowed = SAFETY.includes(name) ? letters.replace('S', '') : letters;
    const isOptional = OPTIONAL.includes(name);
    if (!isOptional && (base === undefined || !isOneOf(base, allowed))) return undefined;
    if (isOptional && base !== undefined && base !== 'X' && !isOneOf(base, letters)) return undefined;
    const modified = isOptional ? undefined : value(`M${name}`);
    if (modified !== undefined && modified !== 'X' && !isOneOf(modified, letters)) return undefined;
    const said = [modified, base].find((one) => one !== undefined && one !== 'X');
    steps[name] = said === undefined ? 0 : letters.indexOf(said);
  }
  return steps;
}

const isOneOf = (letter: string, letters: string): boolean => letter.length === 1 && letters.includes(letter);
