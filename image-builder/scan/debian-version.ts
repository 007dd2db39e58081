// The order of Debian package versions: [epoch:]upstream[-revision] (deb-version(7)). Pure.

/** Negative when `a` is older than `b`, positive when it is newer, 0 when they are equal. */
export function compareDebianVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  return (
    compareNumbers(left.epoch, right.epoch) ||
    compareParts(left.upstream, right.upstream) ||
    compareParts(left.revision, right.revision)
  );
}

function parse(version: string): { epoch: string; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? '0' : version.slice(0, colon),
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    // No revision equals the revision 0.
    revision: hyphen < 0 ? '0' : rest.slice(hyphen + 1),
  };
}

/** Compares alternately a run of other characters and a run of digits, from the left. */
function compareParts(a: string, b: string): number {
  let [left, right] = [a, b];
  while (left !== '' || right !== '') {
    const [otherLeft, otherRight] = [leading(left, /^[^0-9]*/), leading(right, /^[^0-9]*/)];
    const order = compareCharacters(otherLeft, otherRight);
    if (order !== 0) return order;
    [left, right] = [left.slice(otherLeft.length), right.slice(otherRight.length)];
    const [digitsLeft, digitsRight] = [leading(left, /^[0-9]*/), leading(right, /^[0-9]*/)];
    const numeric = compareNumbers(digitsLeft, digitsRight);
    if (numeric !== 0) return numeric;
    [left, right] = [left.slice(digitsLeft.length), right.slice(digitsRight.length)];
  }
  return 0;
}

function leading(text: string, pattern: RegExp): string {
  return pattern.exec(text)?.[0] ?? '';
}

function compareCharacters(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const order = weight(a[index]) - weight(b[index]);
    if (order !== 0) return order;
  }
  return 0;
}

/** A tilde comes before the end of the text, letters after it, everything else after the letters. */
function weight(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}

/** Numbers of any length; nothing counts as zero. */
function compareNumbers(a: string, b: string): number {
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
