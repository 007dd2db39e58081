// Starts a registry that lists what refers to an image by itself (referrers-registry/).
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { goProgram } from './go-program.ts';

export interface ReferrersRegistry {
  /** `127.0.0.1:port`. */
  host: string;
  stop(): Promise<void>;
}

/** Starts one; `stop` it. */
export async function startReferrersRegistry(): Promise<ReferrersRegistry> {
  const child: ChildProcess = spawn(goProgram('referrers-registry'), { stdio: ['pipe', 'pipe', 'inherit'] });
  const [address] = child.stdout ? await once(child.stdout, 'data') : [];
  return {
    host: String(address).trim(),
    async stop() {
      const gone = once(child, 'exit');
      child.stdin?.end();
      await gone;
    },
  };
}
