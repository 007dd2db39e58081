// Tags that a text has in YAML: those that say what it is anyway, and those of other programs, for which it means something else.

/** Tags of YAML itself. `!` alone only keeps a text from being a number. */
const KNOWN_TAG = /^(?:!|tag:yaml\.org,2002:(?:map|seq|str|int|float|bool|null|merge))$/;

/** Whether only another program knows what a node with this tag stands for. */
export const isForeignTag = (tag: string | undefined): boolean => tag !== undefined && !KNOWN_TAG.test(tag);

/** What to do about Ansible's own tags. */
const ADVICE: Record<string, string> = {
  '!vault': 'Ansible\'s tag !vault, which is not supported (decrypt it first with "ansible-vault decrypt")',
  '!unsafe':
    "Ansible's tag !unsafe, which is not supported (put text with {{ or {% between {% raw %} and {% endraw %})",
};

/** A foreign tag for people. It is repeated only when it is one that we know: the file may be somebody's secret. */
export const describeTag = (tag: string): string =>
  Object.hasOwn(ADVICE, tag) ? String(ADVICE[tag]) : 'an unknown tag';

/** In the place of a value that only another program could read. Its text is not kept, so that nobody takes it for the value. */
export class ForeignValue {
  readonly tag: string;
  constructor(tag: string) {
    this.tag = tag;
  }
}
