import { lacksSystemManagement } from '../../../../image-builder/stages/boot-test/accelerator.ts';

test.each([
  [
    // As QEMU 10.0 says it.
    [
      "qemu-system-x86_64: warning: host doesn't support requested feature: CPUID.01H:ECX.pni [bit 0]",
      'qemu-system-x86_64: System Management Mode not supported by this hypervisor.',
    ],
    true,
  ],
  [['qemu-system-x86_64: cannot set up guest memory'], false],
  [undefined, false],
])('%j', (output, expected) => {
  expect(lacksSystemManagement(output)).toBe(expected);
});
