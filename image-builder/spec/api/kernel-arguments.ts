// Arguments of the kernel command line: one text for each, without the quotes by which the kernel keeps spaces together
// (https://docs.kernel.org/admin-guide/kernel-parameters.html). Pure.

/** The argument of a name and a value, quoted or not: `acpi_osi` and `"!Windows 2012"` are `acpi_osi=!Windows 2012`. */
export function kernelArgument(name: string, value?: string): string {
  return withoutQuotes(value === undefined ? name : `${name}=${value}`);
}

/** The arguments of a command line; white space between double quotes belongs to its argument. */
export function kernelArguments(commandLine: string): string[] {
  return (commandLine.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? []).map(withoutQuotes);
}

/** The command line as the kernel shows it in /proc/cmdline. */
export function kernelCommandLine(args: readonly string[]): string {
  return args.map((arg) => (arg.includes(' ') ? `"${arg}"` : arg)).join(' ');
}

/**
 * What keeps an argument from reaching the kernel as it is written; undefined when nothing does.
 *
 * GRUB puts quotes around an argument with a space, and a backslash before each quote and backslash in it, which the
 * kernel takes for a part of the value.
 */
export function kernelArgumentProblem(name: string, value?: string): string | undefined {
  const argument = kernelArgument(name, value);
  if (argument === '' || argument.startsWith('=')) return 'has no name';
  if (/\p{Cc}/u.test(argument)) return 'has a line break, a tab or another control character';
  if (/["'\\]/.test(argument)) {
    return 'has a quote or a backslash, which GRUB cannot pass on; double quotes around the whole value are allowed';
  }
  if (/^[^=]* /.test(argument)) return 'has a space in its name; give each argument its own item';
  // The predecessor did not quote values, so that the kernel saw several arguments in such a one.
  if (/^[^"].* [\w.-]+=/.test(value ?? '')) {
    return 'has another argument in its value; give that its own item, or put the whole value in double quotes';
  }
  return undefined;
}

/** The kernel takes quotes around a whole argument, and around a value. */
function withoutQuotes(argument: string): string {
  return argument.replace(/^"([^"]*)"$/, '$1').replace(/^([^="]*)="([^"]*)"$/, '$1=$2');
}
