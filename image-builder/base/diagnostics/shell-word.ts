// Commands that are shown to people, to be pasted into a shell.

/** A word of a POSIX shell's command that means the text (POSIX, Shell Command Language, 2.2.2). */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
