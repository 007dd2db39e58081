// From the short names of Debian's machine-readable copyright files to SPDX licence expressions
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/; SPDX 2.3, annex D).

/** A licence that is not on SPDX's list. */
const REFERENCE = 'LicenseRef-Debian-';

/** GNU licences are versions of a family, with `+` for "or later". */
const GNU = /^(A?GPL|LGPL|GFDL)(?:-NIV)?-(\d(?:\.\d)?)(?:\.0)?(\+|-or-later|-only)?$/i;

/** What the same short name and the same SPDX identifier stand for, and SPDX's names of Debian's. */
const IDENTIFIERS = new Map(
  [
    ...[
      '0BSD',
      'AFL-2.1',
      'Apache-1.1',
      'Apache-2.0',
      'BSD-1-Clause',
      'BSD-2-Clause',
      'BSD-3-Clause',
      'BSD-4-Clause',
    ],
    ...[
      'BSL-1.0',
      'CC-BY-3.0',
      'CC-BY-4.0',
      'CC-BY-SA-3.0',
      'CC-BY-SA-4.0',
      'CC0-1.0',
      'CDDL-1.0',
      'curl',
      'EPL-1.0',
    ],
    ...[
      'FSFAP',
      'FSFUL',
      'FSFULLR',
      'FTL',
      'HPND',
      'ICU',
      'ISC',
      'MIT',
      'MIT-0',
      'MPL-1.1',
      'MPL-2.0',
      'NCSA',
      'OFL-1.1',
    ],
    ...[
      'OpenSSL',
      'OLDAP-2.8',
      'PSF-2.0',
      'Python-2.0',
      'TCL',
      'Unicode-DFS-2016',
      'Unlicense',
      'Vim',
      'WTFPL',
      'X11',
      'Zlib',
      'ZPL-2.1',
    ],
  ].map((name): [string, string] => [name.toLowerCase(), name]),
);
for (const [debian, spdx] of [
  ['Expat', 'MIT'],
  ['MIT/X11', 'MIT'],
  ['Apache-2', 'Apache-2.0'],
  ['CC0', 'CC0-1.0'],
  ['PSF', 'PSF-2.0'],
  ['SIL-1.1', 'OFL-1.1'],
  ['BSL', 'BSL-1.0'],
  ['Boost-1.0', 'BSL-1.0'],
  ['Artistic', 'Artistic-1.0-Perl'],
  ['Artistic-2', 'Artistic-2.0'],
  ['Artistic-2.0', 'Artistic-2.0'],
] as const)
  IDENTIFIERS.set(debian.toLowerCase(), spdx);

/** An expression, and the licences in it that SPDX's list does not have, by identifier: Debian's names. */
export interface LicenceExpression {
  expression: string;
  references: Map<string, string>;
}

/**
 * One expression for all licences that a package has files under.
 * @param synopses first lines of `License` fields, in any order
 * @returns undefined when one of them says it in prose: a part of the truth would be none
 */
export function licenceExpression(synopses: readonly string[]): LicenceExpression | undefined {
  const references = new Map<string, string>();
  const all = new Set<string>();
  for (const synopsis of synopses) {
    const found = terms(synopsis.trim(), references);
    if (found === undefined) return undefined;
    for (const term of found) all.add(term);
  }
  if (all.size === 0) return undefined;
  return { expression: [...all].sort().join(' AND '), references };
}

/** Terms of a conjunction. `and` binds closer than `or`, and looser after a comma. */
function terms(text: string, references: Map<string, string>): string[] | undefined {
  const parts = text.split(/,\s+and\s+/i).map((part) => {
    const alternatives = part.split(/,?\s+or\s+|\s*\|\s*/i).map((one) => conjunction(one, references));
    const known = alternatives.filter((one) => one !== undefined);
    if (known.length < alternatives.length) return undefined;
    return known.length > 1 ? `(${known.join(' OR ')})` : known[0];
  });
  return parts.includes(undefined) ? undefined : (parts as string[]);
}

function conjunction(text: string, references: Map<string, string>): string | undefined {
  const names = text.split(/\s+and\s+/i).map((one) => identifier(one.trim(), references));
  const known = names.filter((one) => one !== undefined);
  if (known.length < names.length) return undefined;
  return known.length > 1 ? `(${known.join(' AND ')})` : known[0];
}

/** At most so many characters make a name. */
const LONGEST_NAME = 80;

function identifier(name: string, references: Map<string, string>): string | undefined {
  const [, family, version, later] = GNU.exec(name) ?? [];
  if (family && version) {
    const number = version.includes('.') ? version : `${version}.0`;
    return `${family.toUpperCase()}-${number}-${later === '+' || later === '-or-later' ? 'or-later' : 'only'}`;
  }
  const known = IDENTIFIERS.get(name.toLowerCase());
  if (known) return known;
  const plain = /^[A-Za-z0-9][A-Za-z0-9.+_~/-]*(?: with [A-Za-z0-9.+_~/ -]+ exceptions?)?$/i.test(name);
  if (!plain || name.length > LONGEST_NAME) return undefined;
  const reference = REFERENCE + name.replaceAll('+', '-plus').replace(/[^A-Za-z0-9.-]+/g, '-');
  references.set(reference, name);
  return reference;
}
