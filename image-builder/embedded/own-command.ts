// How this program is started, for processes that it starts of itself.

/** Where the native executable sees its own code; no other process can read it there. */
const INSIDE_EXECUTABLE = '/$bunfs/';

/** The file that was started: a script, or the native executable. */
export function ownFile(): string {
  const [, script = ''] = process.argv;
  return script.startsWith(INSIDE_EXECUTABLE) ? process.execPath : script;
}

/** The command, without arguments, that starts this program again. */
export function ownCommand(): string[] {
  const file = ownFile();
  return file === process.execPath ? [file] : [process.execPath, file];
}
