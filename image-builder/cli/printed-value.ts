// Values in JSON or YAML on standard output, for programs, and for a terminal on which a stranger's text must do nothing.

/** What both notations may leave as it is, and terminals need not: C1 controls, marks of direction and line breaks. */
const RAW = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The text of a value, with the line break at its end. */
export async function printedValue(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return `${escapeRaw(JSON.stringify(value, null, 2))}\n`;
  const { Document, visit } = await import('yaml');
  const document = new Document(value);
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string' && node.value.search(RAW) >= 0) node.type = 'QUOTE_DOUBLE';
    },
  });
  // Quoted, so that "on", "1.20" and "0755" stay strings for every YAML reader.
  const text = document.toString({
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
    lineWidth: 0,
  });
  return escapeRaw(text);
}

function escapeRaw(text: string): string {
  return text.replace(RAW, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
