// The monitor of a machine that hangs.
import { PassThrough } from 'node:stream';
import { Monitor } from '../../../../image-builder/stages/boot-test/monitor.ts';

test('an answer that does not come keeps the process waiting, until the machine is gone', async () => {
  const timers = jest.spyOn(globalThis, 'setTimeout');
  const socket = new PassThrough();
  const answer = new Monitor(socket, '/nonexistent').diskOperations();
  const [timer] = timers.mock.results.map(({ value }) => value as NodeJS.Timeout);
  expect(timer?.hasRef()).toBe(true);
  socket.destroy();
  expect(await answer).toBeUndefined();
  timers.mockRestore();
});
