// `kustomize build` with a bundle as a container function: ours against a static Go binary on an empty base that does
// the same, and against a container that does nothing, whose time is the engine's own.
//
//   npm run build && node bench/container-function.mjs [RUNS]
//
// Needs Docker Engine, kustomize, Go, and busybox-static. FUNCTION_BASE names the base of our image; without it one is
// made of the node that runs this and busybox. Runs alternate, so that whatever else the machine does hits all; the
// minimum counts, the limit is for the difference.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const LIMIT = 100;
const PREFIX = 'localhost/image-builder-bench';
const PATH = 'ENV PATH=/usr/local/bin:/usr/bin:/bin';

/** Answers a ResourceList (as kustomize writes it) with the profile of the image below a header; text in, text out. */
const GO_FUNCTION = `package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile("/profiles/profile_multistrap.json")
	if err != nil {
		panic(err)
	}
	var profile map[string]json.RawMessage
	if err := json.Unmarshal(text, &profile); err != nil {
		panic(err)
	}
	names := make([]string, 0, len(profile))
	for name := range profile {
		names = append(names, name)
	}
	sort.Strings(names)
	var out strings.Builder
	out.WriteString("- apiVersion: airshipit.org/v1alpha1\\n  kind: VariableCatalogue\\n  metadata: {name: profile_multistrap}\\n")
	for _, name := range names {
		fmt.Fprintf(&out, "  %s: %s\\n", name, profile[name])
	}
	answer := string(input)
	if index := strings.Index(answer, "functionConfig:"); index >= 0 {
		answer = answer[:index]
	}
	if index := strings.Index(answer, "items: []"); index >= 0 {
		answer = answer[:index] + "items:\\n" + answer[index+len("items: []"):]
	}
	fmt.Print(strings.TrimRight(answer, "\\n") + "\\n" + out.String())
}
`;

/** What starting a container costs: it reads its input and says the same without looking at it. */
const GO_NOTHING = `package main

import (
	"io"
	"os"
)

func main() {
	io.Copy(io.Discard, os.Stdin)
	os.Stdout.WriteString("apiVersion: config.kubernetes.io/v1\\nkind: ResourceList\\nitems:\\n- apiVersion: v1\\n  kind: ConfigMap\\n  metadata: {name: setting39}\\n")
}
`;

const directory = mkdtempSync(join(tmpdir(), 'container-function-'));
const images = [];
try {
  const runs = Number(process.argv[2] ?? 10);
  const candidates = {
    engine: imageOf('nothing', GO_NOTHING),
    go: imageOf('go', GO_FUNCTION),
    ours: ourImage(),
  };
  report(measure(candidates, runs));
} finally {
  spawnSync('docker', ['image', 'rm', '--force', ...images], { stdio: 'ignore' });
  rmSync(directory, { recursive: true });
}

/** About as large as a real one. */
function profile() {
  const packages = Array.from({ length: 150 }, (_, n) => `package-${n}`);
  const sysctl = Array.from({ length: 40 }, (_, n) => ({ name: `net.example.setting${n}`, value: `${n}` }));
  return JSON.stringify({ k8s_version: '1.34.2-1.1', mode: '0755', packages, sysctl });
}

function execute(command, args, options = {}) {
  return execFileSync(command, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options });
}

/** Imports a tree as an image. */
function importTree(name, tree, changes) {
  const tag = `${PREFIX}/${name}`;
  images.push(tag);
  const archive = `${tree}.tar`;
  execute('tar', ['--create', '--file', archive, '--owner=0', '--group=0', '-C', tree, '.']);
  execute('docker', ['import', ...changes.flatMap((change) => ['--change', change]), archive, tag]);
  return tag;
}

/** A static binary on an empty base. */
function imageOf(name, source) {
  const [project, tree] = [join(directory, `${name}-source`), join(directory, name)];
  for (const path of [project, join(tree, 'etc'), join(tree, 'profiles')])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(project, 'main.go'), source);
  writeFileSync(join(project, 'go.mod'), 'module bench\n\ngo 1.16\n');
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };
  execute('go', ['build', '-ldflags', '-s -w', '-o', join(tree, 'function'), '.'], { cwd: project, env });
  writeFileSync(join(tree, 'profiles/profile_multistrap.json'), profile());
  writeFileSync(join(tree, 'etc/passwd'), 'nobody:x:65534:65534::/:\n');
  return importTree(name, tree, ['ENTRYPOINT ["/function"]']);
}

function ourImage() {
  const context = join(directory, 'context');
  for (const path of ['dist', 'bundle/profiles', 'bundle/qcows'])
    mkdirSync(join(context, path), { recursive: true });
  copyFileSync(join(root, 'dist/image-builder-fn'), join(context, 'dist/image-builder-fn'));
  writeFileSync(join(context, 'bundle/profiles/profile_multistrap.json'), profile());
  const base = process.env.FUNCTION_BASE ?? nodeBase();
  const tag = `${PREFIX}/ours`;
  images.push(tag);
  // What the targets `function` and `bundle` of the Dockerfile are, without the stages that they do not need.
  const dockerfile = `FROM ${base}\nCOPY dist/image-builder-fn /usr/local/bin/function\nCOPY bundle/profiles /profiles\nWORKDIR /tmp\nENTRYPOINT ["function"]\n`;
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  execute('docker', ['build', '--quiet', '--tag', tag, context], {
    env: { ...process.env, DOCKER_BUILDKIT: '0' },
  });
  return tag;
}

function nodeBase() {
  const tree = join(directory, 'base');
  for (const path of ['bin', 'etc', 'tmp', 'usr/bin', 'usr/local/bin'])
    mkdirSync(join(tree, path), { recursive: true });
  copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
  for (const name of ['bin/sh', 'usr/bin/env']) symlinkSync('/bin/busybox', join(tree, name));
  const libraries = execute('ldd', [process.execPath])
    .toString()
    .matchAll(/(\/\S+) \(0x/g);
  for (const [, library] of libraries) {
    mkdirSync(dirname(join(tree, library)), { recursive: true });
    execute('cp', ['--dereference', library, join(tree, library)]);
  }
  copyFileSync(process.execPath, join(tree, 'usr/local/bin/node'));
  writeFileSync(join(tree, 'etc/passwd'), 'nobody:x:65534:65534::/:\n');
  return importTree('base', tree, [PATH]);
}

function kustomization(name, image) {
  const path = join(directory, `kustomization-${name}`);
  mkdirSync(path);
  writeFileSync(join(path, 'kustomization.yaml'), 'generators: [profile.yaml]\n');
  writeFileSync(
    join(path, 'profile.yaml'),
    `apiVersion: v1
kind: ConfigMap
metadata:
  name: profile
  annotations:
    config.kubernetes.io/function: |
      container: {image: "${image}"}
data:
  configPath: /profiles/profile_multistrap.json
`,
  );
  return path;
}

function measure(candidates, runs) {
  const paths = Object.entries(candidates).map(([name, image]) => [name, kustomization(name, image)]);
  const seen = Object.fromEntries(paths.map(([name]) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const [name, path] of paths) {
      const start = process.hrtime.bigint();
      const { status, stdout, stderr } = spawnSync('kustomize', ['build', '--enable-alpha-plugins', path], {
        env: { ...process.env, PATH: `${join(root, '.cache/bin')}:${process.env.PATH}` },
      });
      seen[name].push(Number(process.hrtime.bigint() - start) / 1e6);
      if (status !== 0 || !stdout.includes('setting39'))
        throw new Error(`${name} failed: ${stdout}${stderr}`);
    }
  }
  return seen;
}

function report(seen) {
  const least = (name) => Math.min(...seen[name]);
  for (const name of Object.keys(seen)) {
    const sorted = [...seen[name]].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    const own = least(name) - least('engine');
    console.log(
      `${name.padEnd(7)} least ${least(name).toFixed(0)} ms, median ${median.toFixed(0)} ms; without the engine ${own.toFixed(0)} ms`,
    );
  }
  const difference = least('ours') - least('go');
  const kept = difference <= LIMIT;
  console.log(`ours - go: ${difference.toFixed(0)} ms; limit ${LIMIT}: ${kept ? 'kept' : 'exceeded'}`);
  if (!kept) process.exitCode = 1;
}
