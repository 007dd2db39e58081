import {
  findFailure,
  LOGIN_PROMPT,
  SerialConsole,
} from '../../../../image-builder/stages/boot-test/console.ts';
import { decodeTextScreen } from '../../../../image-builder/stages/boot-test/text-screen.ts';

function verdictOf(...chunks: string[]) {
  const console = new SerialConsole(LOGIN_PROMPT);
  for (const chunk of chunks) console.write(chunk);
  return console.verdict;
}

describe('a login prompt', () => {
  test.each([
    ['plain', ['Debian GNU/Linux 13 node1 ttyS0\r\n\r\n', 'node1 login: ']],
    ['in pieces', ['\r\nnode', '1 lo', 'gin:', ' ']],
    ['with control sequences', ['\r\n\u001b[0mnode1\u001b[?2004h login: ']],
    ['with a control sequence in pieces', ['\r\n\u001b', '[0;1', 'mnode1 login: ']],
    ['after much else', ['x\r\n'.repeat(100_000), 'node1 login: ']],
  ])('%s', (_name, chunks) => {
    expect(verdictOf(...chunks)).toEqual({ state: 'reached' });
  });

  test('is not just the word', () => {
    expect(verdictOf('[ 1.2] systemd[1]: Starting login: service\r\n')).toEqual({ state: 'booting' });
  });
});

describe('a failure', () => {
  test.each([
    ['[    1.2] Kernel panic - not syncing: VFS: Unable to mount root fs', /panicked/],
    ['[    1.2] Oops: 0000 [#1] PREEMPT SMP', /Oops/],
    ['[    1.2] BUG: unable to handle page fault for address', /Oops/],
    ['\r\ngrub> ', /GRUB/],
    ['\r\ngrub rescue> ', /GRUB/],
    ['\r\nerror: no such device: 1234.\r\n', /GRUB/],
    ['\r\n(initramfs) ', /initramfs/],
    ['You are in emergency mode. After logging in', /emergency/],
    ['Cannot open access to console, the root account is locked.', /emergency/],
    ['\r\nNo bootable device.\r\n', /firmware/],
    ['BdsDxe: No bootable option or device was found.', /firmware/],
  ])('%j', (text, meaning) => {
    expect(verdictOf(text)).toMatchObject({ state: 'failed', meaning: expect.stringMatching(meaning) });
  });

  test('stays one, whatever comes after', () => {
    expect(verdictOf('Kernel panic - not syncing: x\r\n', 'node1 login: ').state).toBe('failed');
  });
});

test('what a guest prints is kept without control sequences, line by line', () => {
  const console = new SerialConsole(/never/);
  expect(console.write('one\r\ntw')).toEqual(['one']);
  expect(console.write('o\r\n\u001b[31mthree\u001b[0m\r\nfour')).toEqual(['two', 'three']);
  expect(console.lastLines(2)).toEqual(['three', 'four']);
  expect(console.text).toBe('one\ntwo\nthree\nfour');
});

test('units that failed are told in the words of systemd', () => {
  const console = new SerialConsole(/never/);
  console.write('[\u001b[0;32m  OK  \u001b[0m] Reached target a.target.\r\n');
  console.write(
    '[\u001b[0;1;31mFAILED\u001b[0m] Failed to mount \u001b[0;1;39mdata.mount\u001b[0m - /data.\r\n',
  );
  console.write('[\u001b[0;1;31m TIME \u001b[0m] Timed out waiting for device dev-x.device - /dev/x.\r\n');
  console.write('[\u001b[0;1;38;5;185mDEPEND\u001b[0m] Dependency failed for local-fs.target.\r\n');
  expect(console.unitFailures).toEqual([
    'Failed to mount data.mount - /data.',
    'Timed out waiting for device dev-x.device - /dev/x.',
  ]);
});

describe('the screen of a PC', () => {
  const memory = (rows: string[]) => {
    const cells = rows.flatMap((row) =>
      Array.from(row.padEnd(80), (character) => [character.charCodeAt(0), 7]),
    );
    return Buffer.concat([Buffer.from(cells.flat()), Buffer.alloc(0x8000 - 2 * cells.length)]);
  };

  test('in text mode has lines', () => {
    const lines = decodeTextScreen(memory(['ALERT!', '', '(initramfs) ']));
    expect(lines).toEqual(['ALERT!', '(initramfs)']);
    expect(findFailure(lines.join('\n'))?.meaning).toMatch(/initramfs/);
  });

  test('in another mode has none', () => {
    const picture = Buffer.alloc(0x8000, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
    expect(decodeTextScreen(picture)).toEqual([]);
    expect(decodeTextScreen(Buffer.alloc(0x8000))).toEqual([]);
  });
});

test('the memory of a guest that prints for ever is bounded', () => {
  const console = new SerialConsole(/never/);
  for (let count = 0; count < 60; count++) console.write(`${'x'.repeat(99)}\r\n`.repeat(1000));
  expect(console.text.length).toBeLessThanOrEqual(2 * 1024 * 1024);
  expect(console.lastLines(1)).toEqual(['x'.repeat(99)]);
});

test('a global pattern has no memory of its own', () => {
  const console = new SerialConsole(/ready/g);
  console.write('ready');
  expect(console.verdict.state).toBe('reached');
});

test('a machine that starts again may fail again, by what it says then', () => {
  const console = new SerialConsole(LOGIN_PROMPT);
  console.write('node1 login: ');
  console.startOver();
  console.write('\n[ OK ] Stopped\n');
  expect(console.verdict).toEqual({ state: 'booting' });
  console.write('Kernel panic - not syncing: VFS\n');
  expect(console.verdict).toMatchObject({ state: 'failed', crash: true });
});

test('a machine that starts again after it has said much is judged by what it says then', () => {
  const console = new SerialConsole(LOGIN_PROMPT);
  console.write('node1 login: ');
  console.startOver();
  for (let count = 0; count < 40; count++) console.write('x'.repeat(100_000));
  console.write('\nnode1 login: ');
  expect(console.verdict).toEqual({ state: 'reached' });
});
