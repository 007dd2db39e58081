// How a text is written so that every reader gets it back: those of YAML 1.1 and 1.2, Go's (kustomize, kpt, kubectl) and
// Python's (cloud-init, Ansible). They differ in what plain text they take for another type, in which line breaks they
// fold, and in which characters they refuse; so only what is harmless everywhere goes without quotes.

/** `plain` as it is, `block` as a literal block, `quoted` between double quotes. */
export type TextStyle = 'plain' | 'block' | 'quoted';

/**
 * Plain text that some version of YAML takes for null, a boolean, a number, a date, a merge key, or the end of a
 * document. Some take numbers with underscores, and without digits before or after the point.
 */
const LOOKS_TYPED =
  /^(?:~|null|y|yes|n|no|true|false|on|off|=|<<|[-+]?\.(?:inf|nan))?$|^[-+.]*(?:$|[0-9_]|e[-+]?[0-9]+$)|^(?:---|\.\.\.)/i;
/** Printable characters beyond ASCII that are neither blanks nor line breaks anywhere. */
const WIDE = '\\xa1-\\u1fff\\u2010-\\u2027\\u2030-\\ud7ff';
const INSIDE = `[\\w/.,()+=@%$;:*~^<>!?&'"|${WIDE}-]`;
/** One line in which no character means anything to YAML: no `: `, no ` #`, no blank at an end. */
const HARMLESS = new RegExp(
  `^(?!.*: )(?:-(?=[\\w-])|[\\w/.(+=$<^~${WIDE}])${INSIDE}*(?: ${INSIDE}+)*(?<![:-])$`,
);
/** Lines that a literal block holds as they are: the first begins with no blank, at most one line break is at the end. */
const LINES = new RegExp(`^[!-~${WIDE}](?:[\\t\\n -~${WIDE}]*[!-~${WIDE}])?\\n?$`);

/** Catalogues of one build say the same things: the style of a text is decided once. */
const styles = new Map<string, TextStyle>();

/** The style of a text below a key or in a list. A key is never a block: see {@link keyStyle}. */
export function textStyle(text: string): TextStyle {
  const known = styles.get(text);
  if (known) return known;
  const style = decideStyle(text);
  styles.set(text, style);
  return style;
}

/** The style of a key. */
export function keyStyle(text: string): 'plain' | 'quoted' {
  return textStyle(text) === 'plain' ? 'plain' : 'quoted';
}

function decideStyle(text: string): TextStyle {
  if (LOOKS_TYPED.test(text)) return 'quoted';
  if (HARMLESS.test(text)) return 'plain';
  return text.includes('\n') && LINES.test(text) ? 'block' : 'quoted';
}

/** What JSON leaves as it is, and some reader of YAML refuses or takes for a line break. */
const REFUSED_RAW = /[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * The text between double quotes, on one line, with escapes that YAML and JSON have in common. Half a surrogate pair is
 * no character: it becomes U+FFFD, as in every reader of JSON that has no other way.
 */
export function quoted(text: string): string {
  return JSON.stringify(text.replace(/\p{Surrogate}/gu, '\ufffd')).replace(
    REFUSED_RAW,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
