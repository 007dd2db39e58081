// How the catalogues of a build name the image that built it.
import type { Profile } from '../bundle/model.ts';

/**
 * The predecessor's profiles name the image that built them. The bundle does so where the spec says which one it is;
 * otherwise the bundle is the same whoever built it, and only the answer of this build names it.
 */
export function withBuilderImage(profile: Profile, image: string): Profile {
  const variables: Record<string, unknown> = JSON.parse(profile.json);
  if (variables.image_builder_image !== undefined) return profile;
  return { ...profile, json: `${JSON.stringify({ ...variables, image_builder_image: image }, null, 2)}\n` };
}
