import { controlGroups } from '../../../image-builder/sandbox/tmpfs.ts';

test('control groups of version 2: the own one and all above it', () => {
  expect(controlGroups('0::/user.slice/build.scope\n').map(({ limit }) => limit)).toEqual([
    '/sys/fs/cgroup/memory.max',
    '/sys/fs/cgroup/user.slice/memory.max',
    '/sys/fs/cgroup/user.slice/build.scope/memory.max',
  ]);
});

test('of version 1: those of the memory controller, beside others', () => {
  expect(controlGroups('5:cpu,cpuacct:/a\n4:memory:/docker/1\n').map(({ used }) => used)).toEqual([
    '/sys/fs/cgroup/memory/memory.usage_in_bytes',
    '/sys/fs/cgroup/memory/docker/memory.usage_in_bytes',
    '/sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes',
  ]);
});

test('none where the kernel has none', () => {
  expect(controlGroups('')).toEqual([]);
});
