// What the states of Pods and the warnings of a cluster mean for whoever waits.
import type { V1Pod, V1PodStatus } from '@kubernetes/client-node';
import { delayOf, failureOf } from '../../../image-builder/cluster/pod-state.ts';
import { delayOfWarning } from '../../../image-builder/cluster/warnings.ts';

const pod = (status: object, memory?: string): V1Pod => ({
  metadata: { name: 'ib-rootfs-1' },
  spec: { containers: [{ name: 'build', ...(memory && { resources: { limits: { memory } } }) }] },
  status: status as V1PodStatus,
});

const waiting = (reason: string, message = '') =>
  pod({ containerStatuses: [{ name: 'build', image: 'r/i', state: { waiting: { reason, message } } }] });
const ended = (terminated: object) =>
  pod({ phase: 'Failed', containerStatuses: [{ name: 'build', state: { terminated } }] }, '1Gi');
const unscheduled = (message: string) =>
  pod({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] });

test.each([
  ['room is waited for', unscheduled('0/1 nodes are available: 1 Insufficient memory.'), undefined],
  [
    'a selector that no node has',
    unscheduled("1 node(s) didn't match Pod's node affinity"),
    'POD_UNSCHEDULABLE',
  ],
  ['an image that is not there', waiting('ImagePullBackOff', 'not found'), 'POD_NOT_STARTED'],
  [
    'a Secret that is not there',
    waiting('CreateContainerConfigError', 'secret "x" not found'),
    'POD_NOT_STARTED',
  ],
])('%s', (_, given, code) => {
  const delay = delayOf(given);
  expect(delay?.message).toBeTruthy();
  expect(delay?.error?.error.code).toBe(code);
});

test('a Pod that starts waits for nothing in particular', () => {
  expect(delayOf(waiting('PodInitializing'))).toBeUndefined();
  expect(delayOf(waiting('ContainerCreating'))).toBeUndefined();
});

test.each([
  ['memory', ended({ exitCode: 137, reason: 'OOMKilled' }), 'POD_OUT_OF_MEMORY', /limit 1Gi/],
  [
    'eviction',
    pod({ phase: 'Failed', reason: 'Evicted', message: 'emptyDir "work" exceeds the limit' }),
    'POD_EVICTED',
    /storage/,
  ],
  ['no program', ended({ exitCode: 127, reason: 'ContainerCannotRun' }), 'JOB_FAILED', /builder image/],
  ['killed', ended({ exitCode: 137, reason: 'Error' }), 'JOB_FAILED', /killed/],
])('failure by %s', (_, given, code, says) => {
  const failure = failureOf(given);
  expect(failure?.error?.code).toBe(code);
  expect(failure?.error?.findings()[0]?.message).toMatch(says);
});

test('what the program has said is the reason', () => {
  expect(failureOf(ended({ exitCode: 1, message: '{"findings":[]}' }))).toEqual({
    pod: 'ib-rootfs-1',
    container: 'build',
    message: '{"findings":[]}',
  });
  expect(failureOf(pod({ phase: 'Running' }))).toBeUndefined();
});

test.each([
  ['FailedCreate', 'pods "x" is forbidden: exceeded quota: q, requested: pods=1', undefined],
  ['FailedCreate', 'pods "x" is forbidden: violates PodSecurity "baseline:latest"', 'CLUSTER_UNSUITABLE'],
  ['FailedCreate', 'serviceaccount "x" not found', 'POD_NOT_STARTED'],
  ['FailedMount', 'secret "signing" not found', 'POD_NOT_STARTED'],
  ['FailedCreatePodSandBox', 'runtime does not support user namespaces', 'CLUSTER_UNSUITABLE'],
])('the warning %s %s', (reason, message, code) => {
  expect(delayOfWarning(reason, message)?.error?.error.code).toBe(code);
  expect(delayOfWarning(reason, message)?.message).toContain(message.replace(/^pods "x"/, ''));
});

test('a quota is told once, whatever the name of the Pod', () => {
  const told = (pod: string) =>
    delayOfWarning('FailedCreate', `pods "${pod}" is forbidden: exceeded quota: q`)?.message;
  expect(told('ib-rootfs-1-abcde')).toBe(told('ib-rootfs-1-fghij'));
  expect(told('ib-rootfs-1-abcde')).toContain('exceeded quota: q');
});

test('other warnings are told by the state of the Pod', () => {
  expect(delayOfWarning('BackOff', 'Back-off pulling image')).toBeUndefined();
});
