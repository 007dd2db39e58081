// Scores of CVSS 4.0, as the calculator of FIRST gives them (https://www.first.org/cvss/calculator/4.0).
import { score4 } from '../../../image-builder/scan/cvss4.ts';

test.each([
  // The most severe vector, and the examples of FIRST (https://www.first.org/cvss/v4.0/examples).
  ['AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H', 10],
  ['AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N', 7.3],
  ['AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N', 7.7],
  ['AV:N/AC:L/AT:P/PR:N/UI:P/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U', 5.2],
  ['AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:L/VA:L/SC:N/SI:N/SA:N/E:P/CR:H/IR:M/AR:H/MAV:A/MAC:H/MAT:N/MPR:N', 5.5],
  // No impact at all.
  ['AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N', 0],
  // Half of a tenth is rounded up, which binary fractions hide.
  ['AV:N/AC:L/AT:N/PR:N/UI:P/VC:L/VI:N/VA:H/SC:H/SI:H/SA:H', 8.6],
  // Safety, what was left open, and metrics that say something else than a score.
  ['AV:P/AC:H/AT:P/PR:H/UI:A/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N/MSI:S/E:X/AU:Y/U:Red', 4.1],
])('%s', (vector, expected) => {
  expect(score4(`CVSS:4.0/${vector}`)).toBe(expected);
});

test.each([
  ['another version', 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H'],
  ['a metric that is missing', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N'],
  ['a value that does not exist', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:R/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N'],
  ['safety in a base metric', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:S/SA:N'],
  ['a metric twice', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/AV:P'],
  [
    'a name that objects inherit',
    'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/constructor:N',
  ],
  ['a modified requirement', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/MCR:H'],
  ['an unknown metric', 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/XX:N'],
])('none for %s', (_, vector) => {
  expect(score4(vector)).toBeUndefined();
});
