import { licenceExpression } from '../../../image-builder/sbom/licences.ts';

const expression = (...synopses: string[]) => licenceExpression(synopses)?.expression;

test.each([
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['GPL-3', 'GPL-3.0-only'],
  ['LGPL-2.1+', 'LGPL-2.1-or-later'],
  ['GPL-2.0', 'GPL-2.0-only'],
  ['GFDL-NIV-1.3+', 'GFDL-1.3-or-later'],
  ['Expat', 'MIT'],
  ['bsd-3-clause', 'BSD-3-Clause'],
  ['GPL-1+ or Artistic', '(GPL-1.0-or-later OR Artistic-1.0-Perl)'],
  ['GPL-2+ and LGPL-2.1+', '(GPL-2.0-or-later AND LGPL-2.1-or-later)'],
  ['GPL-2+ or Artistic, and BSD-3-clause', '(GPL-2.0-or-later OR Artistic-1.0-Perl)#BSD-3-Clause'],
  ['GPL-3+ with Bison exception', 'LicenseRef-Debian-GPL-3-plus-with-Bison-exception'],
  ['public-domain', 'LicenseRef-Debian-public-domain'],
])('%s', (synopsis, wanted) => {
  expect(expression(synopsis)?.split(' AND ').length).toBeGreaterThan(0);
  expect(expression(synopsis)).toBe(wanted.split('#').sort().join(' AND '));
});

test('a package is under all licences of its files, each once', () => {
  expect(expression('Expat', 'GPL-2+', 'MIT', 'GPL-2+')).toBe('GPL-2.0-or-later AND MIT');
});

test('a licence that is said in prose leaves no expression rather than a part of one', () => {
  expect(expression('GPL-2+', 'the same as perl itself, see below')).toBeUndefined();
  expect(expression('x'.repeat(200))).toBeUndefined();
  expect(expression()).toBeUndefined();
});

test('names licences that SPDX does not know', () => {
  const { references } = licenceExpression(['GPL-2+ or Beerware', 'PD']) ?? {};
  expect([...(references ?? [])]).toEqual([
    ['LicenseRef-Debian-Beerware', 'Beerware'],
    ['LicenseRef-Debian-PD', 'PD'],
  ]);
});
