// Reads the texts that the contracts carry: variable files and cloud-init's network data, in YAML or JSON.
import { type Finding, InvalidInputError } from '../base/diagnostics/error.ts';
import { readDocuments } from '../base/yaml/read-documents.ts';
import { parseJson } from '../bundle/profile/json.ts';

/** Where a text came from, for messages. */
export interface TextOrigin {
  /** Field of the configuration that carries or names the text. */
  field: string;
  /** File that holds it, when it is one. */
  file?: string;
  /** Number of the line in that file where the text begins; default 1. */
  firstLine?: number;
}

type Parsed = { value: unknown } | { findings: Finding[] };

function finding(origin: TextOrigin, message: string): Finding {
  return {
    severity: 'error',
    message,
    field: origin.field,
    ...(origin.file === undefined ? {} : { file: origin.file }),
  };
}

function parseYaml(text: string, origin: TextOrigin): Parsed {
  const { firstLine = 1 } = origin;
  const { values, problems } = readDocuments(text, { firstLine });
  if (problems.length > 0) {
    return { findings: problems.map((problem) => finding(origin, `${problem} (is this YAML or JSON?)`)) };
  }
  if (values.length > 1) {
    return { findings: [finding(origin, `contains ${values.length} YAML documents, expected one`)] };
  }
  return { value: values[0] };
}

/** JSON takes tabs anywhere, YAML takes them nowhere before the first character of a line: JSON is tried first. */
function parseJsonOrYaml(text: string, origin: TextOrigin): Parsed {
  try {
    return { value: parseJson(text) };
  } catch {
    const parsed = parseYaml(text, origin);
    // JSON with a comma too many or a comment is YAML's flow style, where indentation means nothing.
    if ('findings' in parsed && /^\s*[{[]/.test(text)) {
      const retried = parseYaml(
        text.replace(/^[ \t]+/gm, (indentation) => indentation.replaceAll('\t', ' ')),
        origin,
      );
      return 'value' in retried ? retried : parsed;
    }
    return parsed;
  }
}

/**
 * A mapping from YAML or JSON text; an empty text is an empty mapping.
 * @throws InvalidInputError with line and column, or when the text is not a mapping.
 */
export function parseMapping(text: string, origin: TextOrigin): Record<string, unknown> {
  const parsed = parseJsonOrYaml(text, origin);
  if ('findings' in parsed) throw new InvalidInputError(parsed.findings);
  const value = parsed.value ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new InvalidInputError([finding(origin, `is ${kindOf(value)}, expected a mapping`)]);
  }
  return value as Record<string, unknown>;
}

/**
 * cloud-init's network_data.json (OpenStack's format) from YAML or JSON.
 * @throws InvalidInputError when it is not a mapping, is empty, or its `links`, `networks` or `services` are not lists.
 */
export function parseNetworkData(text: string, origin: TextOrigin): Record<string, unknown> {
  const networkData = parseMapping(text, origin);
  const findings: Finding[] = [];
  if (Object.keys(networkData).length === 0) {
    findings.push(
      finding(origin, 'is empty; expected links, networks and services (see cloud-init, ConfigDrive)'),
    );
  }
  for (const key of ['links', 'networks', 'services']) {
    const value = networkData[key];
    if (value !== undefined && !Array.isArray(value)) {
      findings.push(
        finding({ ...origin, field: `${origin.field}.${key}` }, `is ${kindOf(value)}, expected a list`),
      );
    }
  }
  if (findings.length > 0) throw new InvalidInputError(findings);
  return networkData;
}

/** Names the type of a parsed value for people. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return `the ${typeof value} ${JSON.stringify(value)}`;
}
