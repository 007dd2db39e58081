// What patterns of a policy match: exactly what they say, since what they match is trusted.
import { matchesImage, matchesRepository } from '../../../image-builder/policy/patterns.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;

test.each([
  ['*', 'evil.example/x', true],
  ['registry.example.org/site', 'registry.example.org/site', true],
  ['registry.example.org/site', 'registry.example.org/site/store', false],
  ['registry.example.org/site', 'registry.example.org/site2', false],
  ['registry.example.org/site/*', 'registry.example.org/site/a/b', true],
  ['registry.example.org/site/*', 'registry.example.org/site', false],
  ['registry.example.org/site/*', 'registry.example.org/site-evil/a', false],
  ['registry.example.org/*', 'registry.example.org.evil.example/a', false],
  ['registry.example.org/*', 'registry.example.org:5000/a', false],
  ['builder', 'docker.io/library/builder', true],
  ['docker.io/site/*', 'site/store', true],
  ['docker.io/site/*', 'localhost/site/store', false],
])('repositories: %s, %s: %s', (pattern, repository, expected) => {
  expect(matchesRepository(pattern, repository)).toBe(expected);
});

test.each([
  ['registry.example.org/builder', 'registry.example.org/builder:v1', true],
  ['registry.example.org/builder', `registry.example.org/builder:v1@${DIGEST}`, true],
  ['registry.example.org/builder', 'registry.example.org/builder-evil:v1', false],
  [`registry.example.org/builder@${DIGEST}`, `registry.example.org/builder:v2@${DIGEST}`, true],
  [`registry.example.org/builder@${DIGEST}`, 'registry.example.org/builder:v2', false],
  [`registry.example.org/builder@${DIGEST}`, `evil.example/builder@${DIGEST}`, false],
  ['localhost:5000/builder', 'localhost:5000/builder', true],
  ['localhost:5000/builder', 'localhost:5001/builder', false],
])('images: %s, %s: %s', (pattern, image, expected) => {
  expect(matchesImage(pattern, image)).toBe(expected);
});
