// From what is written about trust to what is enforced: keys are read, times are seconds.
import { parseTrustedKey } from './keys.ts';
import type { TrustPolicy } from './policy.ts';
import type { TrustSettings } from './trust-settings.ts';

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

/**
 * @param where the field that the settings stand in, for errors
 * @throws TrustError TRUST_KEY_UNUSABLE
 */
export function trustPolicy(settings: TrustSettings, where: string): TrustPolicy {
  const { keys, require = ['signature'], threshold = 1, claims = {}, maxAge } = settings;
  const { builder, buildType, testConfiguration } = settings;
  return {
    keys: keys.map((text, index) => parseTrustedKey(text, `${where}.keys[${index}]`)),
    require,
    threshold,
    claims,
    ...(maxAge !== undefined && { maxAge: secondsOf(maxAge) }),
    ...(builder !== undefined && { builder }),
    ...(buildType !== undefined && { buildType }),
    ...(testConfiguration !== undefined && { testConfiguration }),
  };
}

function secondsOf(text: string): number {
  const unit = text.slice(-1) as keyof typeof SECONDS;
  return Number(text.slice(0, -1)) * SECONDS[unit];
}
