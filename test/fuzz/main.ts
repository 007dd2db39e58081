// npm run fuzz -- [TARGET...] [--seconds N] [--seed N] [--at N]
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { run } from './campaign.ts';
import { TARGETS } from './targets.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    at: { type: 'string' },
  },
});
const unknown = positionals.filter((name) => !TARGETS.some((target) => target.name === name));
if (unknown.length > 0) {
  console.error(`no target ${unknown.join(', ')}; there are ${TARGETS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

async function main() {
  const campaign = {
    seconds: Number(values.seconds),
    seed: Number(values.seed),
    ...(values.at === undefined ? {} : { at: Number(values.at) }),
  };
  for (const target of TARGETS) {
    if (positionals.length > 0 && !positionals.includes(target.name)) continue;
    try {
      const { inputs, refused } = await run(target, campaign);
      console.log(`${target.name}: ${inputs} inputs, ${refused} refused (seed ${campaign.seed})`);
    } catch (error) {
      console.error(`${target.name}: ${(error as Error).message}\n`);
      process.exitCode = 1;
    }
  }
}

void main();
