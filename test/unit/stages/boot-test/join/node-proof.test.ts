import { NodeProof } from '../../../../../image-builder/stages/boot-test/join/node-proof.ts';
import type { CommandResult } from '../../../../../image-builder/stages/boot-test/join/processes.ts';

const met = (stdout = ''): CommandResult => ({ status: 0, stdout, output: stdout });
const failed = (output: string): CommandResult => ({ status: 1, stdout: '', output });

/** A cluster that answers a healthy node, but for what is given by the beginning of kubectl's arguments. */
function prove(answers: Record<string, CommandResult>, signal = new AbortController().signal) {
  let boots = 1;
  const asked: string[] = [];
  const cluster = {
    async kubectl(args: readonly string[]) {
      const text = args.join(' ');
      asked.push(text);
      const given = Object.entries(answers).find(([beginning]) => text.startsWith(beginning));
      if (given) return given[1];
      if (text.startsWith('logs')) return met('programs of the node run in a Pod\n');
      if (text.startsWith('exec')) return met('sh\n');
      return met(text.startsWith('get node') ? `boot-${boots}` : '');
    },
  };
  const machine = {
    async restart() {
      boots++;
    },
    run: () => Promise.reject(new Error('nothing is run in it')),
  };
  const proof = new NodeProof(cluster, 'node1', () => {});
  return { proof, asked, done: proof.run(machine, signal) };
}

test('a healthy node meets everything, before and after a reboot', async () => {
  const { proof, asked, done } = prove({});
  await done;
  expect(proof.unmet).toEqual([]);
  expect(proof.results.map(({ name }) => name)).toEqual([
    'the node is Ready',
    'a Pod runs',
    'its log',
    'exec in it',
    'drain',
    'the node is Ready after a reboot',
    'uncordon',
    'a Pod runs after the reboot',
  ]);
  expect(proof.readyAt).toBeDefined();
  expect(asked.filter((text) => text.startsWith('create'))).toHaveLength(2);
});

test('the first that is not met ends it, and is explained', async () => {
  const { proof, done } = prove({
    'wait --for=condition=Ready node/node1': failed('error: timed out'),
    'describe node': met('cni plugin not initialized\u001b[2J'),
  });
  await done;
  expect(proof.readyAt).toBeUndefined();
  expect(proof.results).toHaveLength(1);
  expect(proof.unmet[0]).toMatchObject({
    name: 'the node is Ready',
    status: 1,
    output: 'cni plugin not initialized[2J\nerror: timed out',
  });
  expect(proof.unmet.slice(1).map(({ name, output }) => [name, output])).toContainEqual([
    'a Pod runs after the reboot',
    undefined,
  ]);
});

test.each([
  ['logs', met('something else'), 'its log'],
  ['exec', failed('container not found'), 'exec in it'],
  ['drain', failed('cannot evict'), 'drain'],
])('%s', async (command, answer, name) => {
  const { proof, done } = prove({ [command]: answer });
  await done;
  expect(proof.unmet[0]).toMatchObject({
    name,
    isMet: false,
    output: expect.stringContaining(answer.output),
  });
});

test('a machine that has ended is not waited for', async () => {
  const controller = new AbortController();
  const { done } = prove({ 'get node': met('the same boot') }, controller.signal);
  setTimeout(() => controller.abort(), 50);
  await expect(done).rejects.toThrow();
});
