import { GuestReport } from '../../../../../image-builder/stages/boot-test/guest-tests.ts';
import {
  initTests,
  invitationOf,
  WORKER,
} from '../../../../../image-builder/stages/boot-test/init/guest-tests.ts';
import { type BootWorker, InitProof } from '../../../../../image-builder/stages/boot-test/init/init-proof.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const HASH = `sha256:${'a'.repeat(64)}`;
const PRINTED = `kubeadm join 192.0.2.1:6443 --token ${TOKEN} \\\n\t--discovery-token-ca-cert-hash ${HASH} \n`;
const { signal } = new AbortController();

function finished(report: GuestReport, outputs: Record<string, string> = {}, status = 0): GuestReport {
  for (const { name } of report.expected)
    report.write(
      `${JSON.stringify({ event: 'end', name, status, seconds: 1, output: outputs[name] ?? '' })}\n`,
    );
  report.write(`${JSON.stringify({ event: 'complete' })}\n`);
  return report;
}

const controlPlane = (output: string) =>
  finished(new GuestReport(initTests(TOKEN)), { 'kubeadm init': output });

/** The control plane, in which every command of kubectl does well. */
function machine(answers: Record<string, string> = {}) {
  const scripts: string[] = [];
  return {
    scripts,
    restart: () => Promise.reject(new Error('the control plane stays')),
    async run({ name, script }: { name: string; script: string }) {
      scripts.push(script);
      const [, output = ''] = Object.entries(answers).find(([beginning]) => name.startsWith(beginning)) ?? [];
      return { name, isMet: true, status: 0, seconds: 1, output };
    },
  };
}

test('kubeadm is told to wait for a machine that is slow, and etcd too', () => {
  const script = initTests(TOKEN).at(-1)?.script ?? '';
  expect(script).toContain('"controlPlaneComponentHealthCheck":"40m0s"');
  expect(script).toContain('{"name":"election-timeout","value":"50000"}');
  expect(script).toContain(`"token":"${TOKEN}"`);
});

test('the second machine joins by what kubeadm has printed, and not by a hash that is none', () => {
  const { results } = controlPlane(PRINTED);
  expect(invitationOf(results, TOKEN)).toEqual({
    endpoint: '192.0.2.1:6443',
    token: TOKEN,
    authorityHash: HASH,
  });
  expect(invitationOf(controlPlane(`${HASH.slice(0, -1)} `).results, TOKEN)).toBeUndefined();
});

test('a control plane that does not tell its authority is not trusted', async () => {
  const boot: BootWorker = () => Promise.reject(new Error('it must not boot'));
  const proof = new InitProof(controlPlane('done'), TOKEN, boot, () => {});
  await expect(proof.run(machine(), signal)).rejects.toThrow('has not told the hash');
});

test('the second machine is asked by kubectl in the first one', async () => {
  let boots = 0;
  const boot: BootWorker = async (report, proof) => {
    expect(report.expected.at(-1)?.script).toContain(HASH);
    finished(report);
    await proof.run(
      {
        async restart() {
          boots++;
        },
        run: () => Promise.reject(new Error('it is the control plane that is asked')),
      },
      signal,
    );
  };
  const asked = machine({ logs: 'programs of the node run in a Pod', exec: 'sh' });
  const { run } = asked;
  asked.run = async (test) =>
    test.name.startsWith('get node') ? { ...(await run(test)), output: `boot-${boots}` } : run(test);
  const proof = new InitProof(controlPlane(PRINTED), TOKEN, boot, () => {});
  await proof.run(asked, signal);
  expect(proof.unmet).toEqual([]);
  expect(proof.readyAt).toBeDefined();
  expect(proof.results.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      `${WORKER.name}: kubeadm join`,
      `${WORKER.name}: the node is Ready after a reboot`,
    ]),
  );
  const kubectl = 'exec kubectl --kubeconfig /etc/kubernetes/admin.conf';
  expect(asked.scripts[0]).toMatch(
    new RegExp(`^${kubectl} wait --for=create node/${WORKER.name} --timeout=\\d+s$`),
  );
  expect(asked.scripts.find((script) => script.includes(' create '))).toMatch(
    /create --filename - <<'INPUT'\n\{"apiVersion":"v1","kind":"Pod".*\}\nINPUT\n$/,
  );
});

test('a second machine that does not join is told by its name', async () => {
  const boot: BootWorker = async (report) => {
    finished(report, { 'kubeadm join': 'error: no route' }, 1);
  };
  const proof = new InitProof(controlPlane(PRINTED), TOKEN, boot, () => {});
  await proof.run(machine(), signal);
  expect(proof.unmet.map(({ name }) => name)).toEqual([
    `${WORKER.name}: a Pod can be prepared`,
    `${WORKER.name}: kubeadm join`,
  ]);
  expect(proof.readyAt).toBeUndefined();
});
