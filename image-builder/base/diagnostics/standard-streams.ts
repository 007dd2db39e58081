// The standard streams of programs that must start at once. Synchronous where possible: the start-up of streams is a tenth
// of the time that the whole function takes.
import { fstatSync, readSync, statSync, writeSync } from 'node:fs';

/** Standard input to its end; when the other side has made the pipe non-blocking, the rest comes as a stream. */
export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for (;;) {
      const buffer = Buffer.allocUnsafe(1 << 16);
      const length = readSync(0, buffer);
      if (length === 0) break;
      chunks.push(buffer.subarray(0, length));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Whether a person sits at standard input. A look at process.stdin would make a pipe non-blocking. */
export async function isTerminal(): Promise<boolean> {
  return mayBeTerminal(0) && (await import('node:tty')).isatty(0);
}

/** Whether to ask at all if a standard stream is a terminal: to find out for certain takes loading node:tty. */
export function mayBeTerminal(fd: 0 | 2): boolean {
  const stream = fstatSync(fd);
  return stream.isCharacterDevice() && stream.rdev !== statSync('/dev/null').rdev;
}

/** Writes to standard output; what a slow non-blocking pipe does not take goes out as a stream. */
export function writeOut(text: string | Uint8Array): void {
  // A reader that goes away (`| head`) does not justify a stack trace.
  write(1, text, () => fail([]));
}

/** Writes a line to standard error; it is not a failure if nobody reads it. */
export function writeLine(line: string): void {
  write(2, `${line}\n`, () => {});
}

/** Streams whose reader was too slow once: later output must not overtake what still waits there. */
const streams = new Map<number, NodeJS.WriteStream>();

function write(fd: 1 | 2, content: string | Uint8Array, onGone: () => void): void {
  let rest: Uint8Array = Buffer.from(content);
  const stream = streams.get(fd);
  if (stream) {
    stream.write(rest);
    return;
  }
  try {
    while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPIPE') onGone();
    else if (code === 'EAGAIN') writeAsStream(fd, rest, onGone);
    else throw error;
  }
}

function writeAsStream(fd: 1 | 2, rest: Uint8Array, onGone: () => void): void {
  const stream = fd === 1 ? process.stdout : process.stderr;
  streams.set(fd, stream);
  stream.on('error', onGone);
  stream.write(rest);
}

/** Says why the run has failed. Never process.exit(): what a slow pipe has not taken yet would be lost. */
export function fail(lines: string[], exitCode = 1): void {
  for (const line of lines) writeLine(line);
  process.exitCode = exitCode;
}
