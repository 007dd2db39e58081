// Whatever a signal ends, the error is one of ours.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CancelledError, cancelled } from '../../../../image-builder/base/diagnostics/cancelled.ts';
import { ImageBuilderError } from '../../../../image-builder/base/diagnostics/error.ts';

test("an error of ours is the reason itself, Node's AbortError its cause only", () => {
  const timeout = new ImageBuilderError('TIMEOUT', 'too late');
  expect(cancelled(AbortSignal.abort(timeout))).toBe(timeout);
  expect(cancelled(AbortSignal.any([AbortSignal.abort(timeout)]))).toBe(timeout);
  for (const reason of [undefined, 'enough', new Error('enough')]) {
    const error = cancelled(AbortSignal.abort(reason));
    expect(error).toBeInstanceOf(CancelledError);
    expect(error).toMatchObject({ code: 'CANCELLED' });
  }
});

// It throws whatever the signal carries: by default an AbortError, which is shown as an error of the program with its stack.
test('no file uses throwIfAborted', () => {
  const root = join(__dirname, '../../../..');
  const files = ['image-builder', 'functions'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const sources = files.filter((file) => file.endsWith('.ts'));
  expect(sources.length).toBeGreaterThan(300);
  expect(
    sources.filter((file) => readFileSync(join(root, file), 'utf8').includes('.throwIfAborted(')),
  ).toEqual([]);
});
