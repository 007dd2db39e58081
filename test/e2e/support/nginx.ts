// Starts a real nginx (Debian package nginx-light) on loopback ports, with everything that it writes in one directory.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Nginx {
  stop(): Promise<void>;
}

/** @param servers by port: what stands in the `server` block besides `listen` */
export async function startNginx(servers: Map<number, string>): Promise<Nginx> {
  const directory = mkdtempSync(join(tmpdir(), 'nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join('\n');
  const blocks = [...servers].map(([port, content]) => `server { listen 127.0.0.1:${port}; ${content} }`);
  const config = join(directory, 'nginx.conf');
  writeFileSync(
    config,
    `daemon off; master_process off; pid ${directory}/pid; error_log stderr error;
     events {}
     http { access_log off; ${temporary} ${blocks.join('\n')} }`,
  );
  const child = spawn('nginx', ['-p', directory, '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const exited = new Promise((done) => child.once('exit', done));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  };
  for (const port of servers.keys()) {
    for (let attempt = 0; !(await listens(port)); attempt++) {
      if (child.exitCode !== null || attempt > 200) {
        await stop();
        throw new Error(`nginx does not start: ${stderr}`);
      }
      await sleep(25);
    }
  }
  return { stop };
}

function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', () => done(false));
  });
}
