// Texts of a profile that are valid YAML in a catalogue, and do not survive kustomize. It writes what functions have
// answered once more, as JSON that it reads as YAML: seen with 4.5.4 and 5.5.

import type { Finding } from '../../base/diagnostics/error.ts';
import type { Profile } from '../model.ts';
import { parseProfile } from './profile.ts';

/** Characters that make kustomize fail (`control characters are not allowed`), or that it takes for line breaks. */
const ODD =
  /[\x7f-\x9f\u2028\u2029\ufffe\uffff]|(?:[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff])/;
/** Whether a JSON text may have such characters, by themselves or as an escape, or a merge key. */
const MAY_BE_ODD = /[\x7f-\x9f\u2028\u2029\ufffe\uffff]|\\u(?:00[789]|202|fff|d[89a-f])|"<<"/i;

/**
 * Warnings of the variables with such texts, by their place in the catalogue; their values are not shown.
 * @throws ProfileError when the profile is none
 */
export function oddTexts(profile: Pick<Profile, 'path' | 'json'>): Finding[] {
  if (!MAY_BE_ODD.test(profile.json)) return [];
  const findings: Finding[] = [];
  const warn = (place: string, message: string) =>
    findings.push({ severity: 'warning', message: `${place} ${message}`, file: profile.path });
  const look = (value: unknown, path: string): void => {
    if (typeof value === 'string') {
      const [character] = ODD.exec(value) ?? [];
      if (character !== undefined) warn(path, describe(character));
    } else if (Array.isArray(value)) {
      for (const [index, child] of value.entries()) look(child, `${path}[${index}]`);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, child] of Object.entries(value)) {
        const place = `${path}${path === '' ? '' : '.'}${JSON.stringify(key).slice(1, -1)}`;
        if (key === '<<') warn(place, 'is a merge key for kustomize, which drops it');
        look(key, `the key ${place}`);
        look(child, place);
      }
    }
  };
  look(parseProfile(profile), '');
  return findings;
}

function describe(character: string): string {
  const code = `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  if (/\p{Surrogate}/u.test(character)) return `has ${code}, half a character, which is replaced by U+FFFD`;
  if (/[\u0085\u2028\u2029]/.test(character)) return `has ${code}, which kustomize treats as a line break`;
  return `has the control character ${code}, on which kustomize fails`;
}
