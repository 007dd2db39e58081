// A TCP port with TLS in front of an engine's socket, as dockerd's --tlsverify has it: who comes needs a certificate of
// its authority. Bytes go through as they are, connections that become streams too.
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** An engine behind TLS. */
export interface EngineTls {
  /** What a client is started with: DOCKER_HOST and its companions. */
  environment: { DOCKER_HOST: string; DOCKER_TLS_VERIFY: string; DOCKER_CERT_PATH: string };
  stop(): Promise<void>;
}

/** @param socket path of the engine's socket */
export async function startEngineTls(socket: string, directory: string): Promise<EngineTls> {
  await mkdir(directory, { recursive: true });
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => exec('openssl', args, { cwd: directory });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.pem',
    '-subj',
    '/CN=test',
    '-days',
    '2',
  );
  for (const [name, extension] of [
    ['server', 'subjectAltName=IP:127.0.0.1'],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    const prefix = name === 'client' ? '' : 'server-';
    await writeFile(path(`${name}.ext`), `${extension}\n`);
    await openssl(
      'req',
      ...key,
      '-keyout',
      `${prefix}key.pem`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    await openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${name}.ext`, '-out', `${prefix}cert.pem`],
    );
  }
  const open = new Set<net.Socket>();
  const server = tls.createServer(
    {
      ca: await readFile(path('ca.pem')),
      cert: await readFile(path('server-cert.pem')),
      key: await readFile(path('server-key.pem')),
      requestCert: true,
      // A container's standard input may end before its output does.
      allowHalfOpen: true,
    },
    (client) => {
      const engine = net.connect({ path: socket, allowHalfOpen: true });
      for (const end of [client, engine]) {
        open.add(end);
        end.on('error', () => end.destroy()).on('close', () => open.delete(end));
      }
      client.on('close', () => engine.destroy());
      client.pipe(engine).pipe(client);
    },
  );
  // Also those whose handshake fails.
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    environment: {
      DOCKER_HOST: `tcp://127.0.0.1:${port}`,
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: directory,
    },
    stop: () =>
      new Promise((done) => {
        for (const end of open) end.destroy();
        server.close(() => done());
      }),
  };
}
