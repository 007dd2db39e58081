// Why apt cannot read a key: it would only say that the repository is not signed by it. Pure.
import { keyringProblem } from '../../spec/variables/keyring.ts';

const BEGIN = '-----BEGIN PGP PUBLIC KEY BLOCK-----';

/** What is wrong with the content of a key file, to follow its name, with a way out; undefined when apt can read it. */
export function keyProblem(content: Buffer): string | undefined {
  if (content.length === 0) return 'is empty';
  const text = content.toString('latin1').trimStart();
  if (text.startsWith(BEGIN)) {
    // gpg(1) is not that strict.
    if (text.includes('\r')) return 'has CR LF line endings, which apt does not read: convert it';
    if (!/^[^\n]*\n(?:[A-Za-z-]+: [^\n]*\n)*\n/.test(text))
      return 'has no empty line between the header of the key block and the key, which apt requires';
  } else if (text.includes(BEGIN)) {
    return `has other text before the line ${BEGIN}: remove it`;
  }
  const problem = keyringProblem(content);
  if (problem === undefined) return undefined;
  if (/^<(!doctype|html|\?xml)/i.test(text)) return 'is a web page, not a key';
  if (/^[A-Za-z0-9+/\s]+=*\s*$/.test(text)) {
    const isKey = keyringProblem(Buffer.from(text, 'base64')) === undefined;
    if (isKey) return 'is the base64 of a key: decode it, or prefix it with "base64:" in keyring';
  }
  return problem;
}
