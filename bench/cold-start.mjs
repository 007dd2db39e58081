// Cold start of the function for the ConfigMap contract, as a ratio to an empty Node.
//
//   npm run build && node bench/cold-start.mjs [RUNS]
//
// Runs alternate, so that whatever else the machine does hits both; the minimum counts.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIMIT = 2.5;

if (process.env.IN_BENCH === 'yes') measure(Number(process.argv[2] ?? 20));
else {
  // The function reads the real /profiles: everything runs where there is one.
  const profiles = mkdtempSync(join(tmpdir(), 'cold-start-'));
  try {
    writeFileSync(join(profiles, 'profile_multistrap.json'), JSON.stringify(profile()));
    const script = join(root, 'test/e2e/support/in-bundle.sh');
    const argv = [profiles, process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
    const { status } = spawnSync(script, argv, {
      stdio: 'inherit',
      env: { ...process.env, IN_BENCH: 'yes' },
    });
    process.exitCode = status ?? 1;
  } finally {
    rmSync(profiles, { recursive: true });
  }
}

/** About as large as a real one. */
function profile() {
  const packages = Array.from({ length: 150 }, (_, n) => `package-${n}`);
  const sysctl = Array.from({ length: 40 }, (_, n) => ({ name: `net.example.setting${n}`, value: `${n}` }));
  return { k8s_version: '1.34.2-1.1', mode: '0755', packages, sysctl };
}

function measure(runs) {
  const input = `apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: catalogue, annotations: {config.kubernetes.io/local-config: "true"}}
functionConfig:
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: catalogue}
  data:
    configPath: /profiles/profile_multistrap.json
    header: |
      apiVersion: airshipit.org/v1alpha1
      kind: VariableCatalogue
      metadata: {name: profile_multistrap}
`;
  const commands = {
    empty: ['-e', '0'],
    function: [join(root, 'dist/image-builder-fn')],
  };
  const best = Object.fromEntries(Object.keys(commands).map((name) => [name, Number.POSITIVE_INFINITY]));
  for (let run = 0; run < runs; run++) {
    for (const [name, argv] of Object.entries(commands)) {
      const start = process.hrtime.bigint();
      const { status, stdout, stderr } = spawnSync(process.execPath, argv, { input });
      const milliseconds = Number(process.hrtime.bigint() - start) / 1e6;
      if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
      if (name === 'function' && !stdout.includes('setting39')) throw new Error(`wrong answer: ${stdout}`);
      best[name] = Math.min(best[name], milliseconds);
    }
  }
  const ratio = best.function / best.empty;
  const show = (name) => `${best[name].toFixed(1)} ms`;
  console.log(
    `node ${process.version}: node -e 0 ${show('empty')}, function ${show('function')}, ratio ${ratio.toFixed(2)}`,
  );
  console.log(`limit ${LIMIT}: ${ratio <= LIMIT ? 'kept' : 'exceeded'}`);
  if (ratio > LIMIT) process.exitCode = 1;
}
