// What makes a text a template.

/** Whether a text is a template of Jinja: it has an expression or a statement. `{#` begins no comment, see docs/reference/variables.md. */
export const isTemplate = (text: string): boolean => /\{\{|\{%/.test(text);
