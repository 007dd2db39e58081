// What a first build does when, what processor time it takes, and how busy each processor is meanwhile: the image of
// examples/node-image from nothing.
//
//   npm run build && node bench/timeline.mjs [SPEC ...]
//
// Each of several specs is built in the store that the ones before it have left: what a change costs. A Markdown table of the
// steps of each. Processor time is the build's own, so it can be compared on a busy machine as well; seconds and shares are
// everybody's.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const specs =
  process.argv.length > 2
    ? process.argv.slice(2).map((path) => resolve(path))
    : [join(root, 'examples/node-image/image-builder.yaml')];
const directory = mkdtempSync(join(tmpdir(), 'timeline-bench-'));

/** Of each processor the ticks that it has worked and those that it could have (proc_stat(5)). */
function processors() {
  const lines = readFileSync('/proc/stat', 'utf8').match(/^cpu\d+ .*$/gm) ?? [];
  return lines.map((line) => {
    const [user, nice, system, idle, wait, ...rest] = line.split(/\s+/).slice(1, 9).map(Number);
    const busy = user + nice + system + rest.reduce((sum, ticks) => sum + ticks, 0);
    return { busy, all: busy + idle + wait };
  });
}

/**
 * Seconds that a process and all that it has waited for have worked (proc_pid_stat(5)); a step's tools end with it.
 * @returns {number | undefined} undefined when it has ended before its last line was read
 */
function worked(pid) {
  if (!existsSync(`/proc/${pid}/stat`)) return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const ticks = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number);
  return ticks.reduce((sum, count) => sum + count, 0) / 100;
}

/** Builds a spec and prints its table. */
async function build(spec) {
  const child = spawn(
    join(root, 'dist/image-builder'),
    ['--log-format', 'json', 'build', spec, '--store', join(directory, 'store')],
    { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const began = performance.now();
  const steps = [{ name: 'plan', stage: '', at: 0, used: 0, before: processors() }];
  for await (const line of createInterface({ input: child.stderr })) {
    const event = line.startsWith('{') ? JSON.parse(line) : {};
    if (event.type !== 'step' && event.status !== 'finished') continue;
    const at = (performance.now() - began) / 1000;
    const name = event.message ?? 'put into the store';
    steps.push({
      name,
      stage: event.stage,
      at,
      used: worked(child.pid) ?? steps.at(-1).used,
      before: processors(),
    });
  }
  const last = steps.at(-1);
  steps.push({ ...last, at: (performance.now() - began) / 1000, before: processors() });
  const heads = steps[0].before.map((_, index) => `processor ${index + 1}`);
  console.log(`| from s | stage | step | s | processor s | ${heads.join(' | ')} |`);
  console.log(`| ---: | --- | --- | ---: | ---: | ${heads.map(() => '---:').join(' | ')} |`);
  for (const [index, { name, stage, at, used, before }] of steps.slice(0, -1).entries()) {
    const next = steps[index + 1];
    const shares = before.map(({ busy, all }, number) => {
      const ticks = next.before[number].all - all;
      return ticks > 0 ? `${Math.round((100 * (next.before[number].busy - busy)) / ticks)} %` : '';
    });
    const seconds = (next.at - at).toFixed(1);
    const own = (next.used - used).toFixed(1);
    if (seconds === '0.0' && own === '0.0') continue;
    console.log(`| ${at.toFixed(1)} | ${stage} | ${name} | ${seconds} | ${own} | ${shares.join(' | ')} |`);
  }
  const end = steps.at(-1);
  console.log(`\n${end.at.toFixed(1)} s, of the processors ${end.used.toFixed(1)} s`);
}

try {
  for (const spec of specs) {
    if (specs.length > 1) console.log(`\n${spec}\n`);
    await build(spec);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
