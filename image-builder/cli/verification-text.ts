// Who vouches for a bundle, in words.
import type { Verification } from '../bundle/evidence/verify.ts';

/** Lines of text; strangers have written some of it. */
export function verificationLines({ image, trusted, refused }: Verification): string[] {
  return [
    `${image}`,
    ...trusted.map(({ kind, key, claims, origin, testConfiguration }) => {
      const all = { ...claims, ...origin, ...(testConfiguration !== undefined && { testConfiguration }) };
      const said = Object.entries(all).map(([name, value]) => ` ${name}=${value}`);
      return `  ${kind} by the key ${key.slice(0, 16)}${said.join('')}`;
    }),
    ...refused.map(({ name, reason }) => `  not counted: ${name.slice(0, 19)} ${reason}`),
  ];
}
