// What is asked of a node that has joined, through the API server.
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningMachine } from '../run-machine.ts';
import { POD_IMAGE } from './guest-tests.ts';
import type { CommandResult } from './processes.ts';

/** Runs kubectl for at most so many seconds. */
export type Kubectl = (
  args: readonly string[],
  options: { seconds: number; input?: object },
) => Promise<CommandResult>;

/** One question. */
export interface NodeTest {
  name: string;
  timeoutSeconds: number;
  /** What it must print, but for white space around it; absent: anything. */
  expected?: string;
  /** @param secondsLeft at least 1 */
  run(kubectl: Kubectl, secondsLeft: () => number): Promise<CommandResult>;
  /** Arguments of kubectl for what explains that it is not met. */
  explain?: readonly string[];
}

const POD = 'image-builder-test';
const ALIVE = 'programs of the node run in a Pod';
/** kubectl's own time-out says more than being killed. */
const GRACE_SECONDS = 10;
const POLL_MILLISECONDS = 2000;

/** In their order: each needs what was met before it. */
export function nodeTests(nodeName: string, machine: RunningMachine, signal: AbortSignal): NodeTest[] {
  const explain = ['describe', 'node', nodeName];
  const ready = `node/${nodeName}`;
  return [
    {
      name: 'the node is Ready',
      timeoutSeconds: 600,
      explain,
      async run(kubectl, left) {
        // kubeadm is content before the kubelet has registered it.
        const registered = await waitFor(kubectl, ready, left(), 'create');
        return registered.status === 0 ? waitFor(kubectl, ready, left()) : registered;
      },
    },
    podTest('a Pod runs', nodeName),
    asked('its log', ['logs', POD], { expected: ALIVE }),
    asked('exec in it', ['exec', POD, '--', '/bin/cat', '/proc/1/comm'], { expected: 'sh' }),
    asked('drain', ['drain', nodeName, '--force', '--ignore-daemonsets', '--delete-emptydir-data'], {
      timeoutSeconds: 300,
      explain,
    }),
    {
      name: 'the node is Ready after a reboot',
      timeoutSeconds: 900,
      explain,
      async run(kubectl, left) {
        const ask = ['get', 'node', nodeName, '--output', 'jsonpath={.status.nodeInfo.bootID}'];
        const bootOf = () => kubectl(ask, { seconds: Math.min(60, left()) });
        const before = await bootOf();
        if (before.status !== 0) return before;
        await machine.restart();
        // The kubelet tells of another boot as soon as it runs again.
        for (;;) {
          await delay(POLL_MILLISECONDS, undefined, { signal });
          const { status, stdout, output } = await bootOf();
          if (status === 0 && stdout !== before.stdout) return waitFor(kubectl, ready, left());
          if (left() <= 1) return { stdout, output: `${output}\nthe node has not started again` };
        }
      },
    },
    asked('uncordon', ['uncordon', nodeName]),
    podTest('a Pod runs after the reboot', nodeName),
  ];
}

function asked(
  name: string,
  args: readonly string[],
  more: Partial<Omit<NodeTest, 'name' | 'run'>> = {},
): NodeTest {
  return {
    name,
    timeoutSeconds: 120,
    ...more,
    run: (kubectl, left) => kubectl(args, { seconds: left() }),
  };
}

const podTest = (name: string, nodeName: string): NodeTest => ({
  name,
  timeoutSeconds: 300,
  explain: ['describe', 'pod', POD],
  async run(kubectl, left) {
    const created = await kubectl(['create', '--filename', '-'], { seconds: left(), input: pod(nodeName) });
    return created.status === 0 ? waitFor(kubectl, `pod/${POD}`, left()) : created;
  },
});

const waitFor = (kubectl: Kubectl, what: string, seconds: number, event = 'condition=Ready') =>
  kubectl(['wait', `--for=${event}`, what, `--timeout=${seconds}s`], {
    seconds: seconds + GRACE_SECONDS,
  });

/** Bound to the node, since there is no scheduler. */
const pod = (nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: POD },
  spec: {
    nodeName,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 5,
    // The taint of a node that was not ready goes a moment after it is.
    tolerations: [{ operator: 'Exists' }],
    containers: [
      {
        name: 'test',
        image: POD_IMAGE,
        imagePullPolicy: 'Never',
        command: ['/bin/sh', '-c', `echo '${ALIVE}'; trap 'exit 0' TERM; while :; do sleep 1; done`],
      },
    ],
  },
});
