import {
  kernelArgument,
  kernelArgumentProblem,
  kernelArguments,
  kernelCommandLine,
} from '../../../../image-builder/spec/api/kernel-arguments.ts';

test.each([
  ['quiet', undefined, 'quiet'],
  ['acpi_osi', '!Windows 2012', 'acpi_osi=!Windows 2012'],
  ['acpi_osi', '"!Windows 2012"', 'acpi_osi=!Windows 2012'],
  ['"acpi_osi=!Windows 2012"', undefined, 'acpi_osi=!Windows 2012'],
  ['dyndbg', '"file a.c +p; module=b"', 'dyndbg=file a.c +p; module=b'],
  ['memmap', '128M$1G', 'memmap=128M$1G'],
  ['x', '', 'x='],
])('%s and %s are %s', (name, value, argument) => {
  expect(kernelArgument(name, value)).toBe(argument);
  expect(kernelArgumentProblem(name, value)).toBeUndefined();
});

test.each([
  ['a\nb', undefined],
  ['a', 'b\nc'],
  ['a', 'b\tc'],
  ['a', "it's"],
  ['a', 'C:\\x'],
  ['a', 'b"c'],
  ['a', '"b'],
  ['quiet splash', undefined],
  ['console', 'tty0 console=ttyS0'],
  ['', 'x'],
])('%j with %j is refused', (name, value) => {
  expect(kernelArgumentProblem(name, value)).toMatch(/^has /);
});

test('a command line is split as the kernel splits it, and joined again', () => {
  const text = '  boot=live dyndbg="file a.c +p" "x=y z"\tquiet ';
  const args = ['boot=live', 'dyndbg=file a.c +p', 'x=y z', 'quiet'];
  expect(kernelArguments(text)).toEqual(args);
  expect(kernelCommandLine(args)).toBe('boot=live "dyndbg=file a.c +p" "x=y z" quiet');
  expect(kernelArguments(kernelCommandLine(args))).toEqual(args);
});
