// Credentials of URLs are in nothing that anybody is told.
import {
  findingsOf,
  ImageBuilderError,
  InvalidInputError,
} from '../../../../image-builder/base/diagnostics/error.ts';
import { redactCredentials } from '../../../../image-builder/base/diagnostics/redact.ts';
import { describeEvent, jsonReporter } from '../../../../image-builder/base/diagnostics/render.ts';

const URL = 'http://ci:Mirr@rPassw0rd@mirror.test/debian';
class TestError extends ImageBuilderError<'TEST'> {}

test.each([
  new TestError('TEST', `${URL} cannot be fetched`, { hint: `try ${URL}`, output: [`Err: ${URL} x`] }),
  new InvalidInputError([{ severity: 'error', message: `is ${URL}`, tags: { url: URL } }]),
  new Error(`unexpected ${URL}`),
  `thrown ${URL}`,
])('neither in findings: %s', (error) => {
  const told = JSON.stringify(findingsOf(error));
  expect(told).toContain('http://***@mirror.test/debian');
  expect(told).not.toContain('Passw0rd');
});

test('nor in progress', () => {
  const event = { type: 'step', stage: 's', message: `fetch ${URL}` } as const;
  expect(describeEvent(event)).toBe('s: fetch http://***@mirror.test/debian');
  const lines: string[] = [];
  jsonReporter((line) => lines.push(line))(event);
  expect(lines.join('')).not.toContain('Passw0rd');
});

test('what has none stays as it is', () => {
  for (const text of [
    'docker://registry.test/a@sha256:abc',
    'oci:dir:v1@sha256:abc',
    'https://files.test/a?mail=a@b',
    'mail a@b.test',
  ]) {
    expect(redactCredentials(text)).toBe(text);
    expect(findingsOf(new TestError('TEST', text))[0]?.message).toBe(text);
  }
});
