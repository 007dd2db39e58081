// Which builder images are started, and on which networks.
import { requireImage, requireImageSource, requireNetwork } from '../../../image-builder/policy/builder.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;
const BUILDER = 'registry.example.org/site/builder';

test.each([
  [[], `${BUILDER}:v1`, false, false],
  [['*'], `${BUILDER}:v1`, true, true],
  [[BUILDER], `${BUILDER}:v1`, true, true],
  [[BUILDER], `evil.example/builder@${DIGEST}`, false, false],
  // What a tag stands for is known when it is there.
  [[`${BUILDER}@${DIGEST}`], `${BUILDER}:v1@${DIGEST}`, true, true],
  [[`${BUILDER}@${DIGEST}`], `${BUILDER}:v1@${OTHER}`, true, false],
  [[`${BUILDER}@${DIGEST}`], `${BUILDER}:v1`, true, false],
])('images %j, %s: fetched %s, started %s', (images, image, fetched, started) => {
  const judge = (step: () => void) => {
    try {
      step();
      return true;
    } catch (error) {
      expect((error as Error).message).toMatch(
        /^error: spec\.build\.executor\.container\.image: starting .* needs permission; allow it with IMAGE_BUILDER_IMAGES=/,
      );
      return false;
    }
  };
  expect(judge(() => requireImageSource({ images }, image))).toBe(fetched);
  expect(judge(() => requireImage({ images }, image))).toBe(started);
});

test.each([
  [['default'], undefined, true],
  [['default'], 'host', false],
  [['default', 'build'], 'build', true],
  [[], undefined, false],
  [['*'], 'host', true],
])('networks %j, %s: %s', (networks, network, expected) => {
  const asked = () => requireNetwork({ networks }, network);
  if (expected) expect(asked).not.toThrow();
  else expect(asked).toThrow(/IMAGE_BUILDER_NETWORKS=(host|default) \(environment\)/);
});
