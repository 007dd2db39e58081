// The screen of a PC in text mode: characters and their colours in turn, at a fixed place of its memory.

/** Where VGA has its text, physically. */
export const TEXT_MEMORY = { address: 0xb8000, bytes: 0x8000 };

const COLUMNS = 80;
/** A console has a few colours; what is drawn there in another mode has many. */
const MAXIMUM_COLOURS = 12;

/**
 * The lines of text in {@link TEXT_MEMORY}, from the top, without those that are empty. Scrolling moves the beginning of the
 * screen through the memory, so that older lines are among them. Empty for a screen that shows no text.
 */
export function decodeTextScreen(memory: Buffer): string[] {
  const colours = new Set(memory.filter((_, index) => index % 2 === 1));
  if (colours.size > MAXIMUM_COLOURS) return [];
  const lines: string[] = [];
  for (let start = 0; start + 2 * COLUMNS <= memory.length; start += 2 * COLUMNS) {
    let line = '';
    for (let column = 0; column < COLUMNS; column++) {
      const character = memory[start + 2 * column] ?? 0;
      line += character >= 0x20 && character < 0x7f ? String.fromCharCode(character) : ' ';
    }
    if (line.trim() !== '') lines.push(line.trimEnd());
  }
  return lines;
}
