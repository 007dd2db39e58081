// Starts a real registry (Debian package docker-registry) on a port of this machine: plain or TLS, open or with a login.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startTokenServer, type TokenServer } from './token-server.ts';

export interface RegistryOptions {
  /** IPv4 address to listen on. Default: loopback. */
  address?: string;
  /** Serve by TLS with a certificate of a test authority. */
  tls?: boolean;
  /** Want this user and password by Basic authentication. */
  htpasswd?: { username: string; password: string };
  /** Want Bearer tokens of a token server of our own, which gives them for this user; `anonymousPull` to anyone. */
  token?: { username: string; password: string; anonymousPull?: boolean };
  /** Want a client certificate (with `tls`). */
  clientCertificates?: boolean;
}

export interface TestRegistry {
  /** `address:port`. */
  host: string;
  url: string;
  /** Directory of its blobs and tags. */
  storage: string;
  /** Certificate of the test authority, with `tls`. */
  caFile?: string;
  /** Client certificate and key, with `clientCertificates`. */
  client?: { cert: string; key: string };
  tokens?: TokenServer;
  /** Kills the process without ado, as a crash would; `start` it again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its storage. */
  stop(): Promise<void>;
}

/** Starts a registry; `stop` it. */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const directory = mkdtempSync(join(tmpdir(), 'registry-'));
  const address = options.address ?? '127.0.0.1';
  const port = await freePort(address);
  const host = `${address}:${port}`;
  const certificates = options.tls ? makeCertificates(directory, address) : undefined;
  const tokens = options.token ? await startTokenServer(directory, options.token) : undefined;
  const config = {
    version: '0.1',
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(directory, 'storage') }, delete: { enabled: true } },
    http: {
      addr: host,
      secret: 'test',
      ...(certificates && {
        tls: {
          certificate: certificates.serverCert,
          key: certificates.serverKey,
          ...(options.clientCertificates && { clientcas: [certificates.caFile] }),
        },
      }),
    },
    ...(options.htpasswd && {
      auth: { htpasswd: { realm: 'test', path: makeHtpasswd(directory, options.htpasswd) } },
    }),
    ...(tokens && {
      auth: {
        token: {
          realm: tokens.url,
          service: 'test-registry',
          issuer: 'test-issuer',
          rootcertbundle: tokens.certificate,
        },
      },
    }),
  };
  const configFile = join(directory, 'config.yml');
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(config));
  mkdirSync(join(directory, 'storage'));
  let child: ChildProcess | undefined;
  const start = async () => {
    child = spawn('docker-registry', ['serve', configFile], { stdio: ['ignore', 'ignore', 'pipe'] });
    await listening({ host: address, port }, child);
  };
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  await start();
  return {
    host,
    url: `${options.tls ? 'https' : 'http'}://${host}`,
    storage: join(directory, 'storage'),
    ...(certificates && { caFile: certificates.caFile }),
    ...(certificates && { client: { cert: certificates.clientCert, key: certificates.clientKey } }),
    ...(tokens && { tokens }),
    kill,
    start,
    async stop() {
      await kill();
      await tokens?.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/**
 * Copies an image into a registry (or anywhere) with skopeo. Asynchronous, since it may need the token server of this
 * process.
 */
export async function skopeoCopy(source: string, target: string, ...options: string[]): Promise<void> {
  const run = promisify(execFile);
  await run(
    'skopeo',
    ['copy', '--quiet', '--insecure-policy', '--dest-tls-verify=false', ...options, source, target],
    {
      timeout: 60_000,
    },
  );
}

/** Copies an OCI layout as docker pushes it: the predecessor's bundles have Docker's manifests. */
export async function pushAsDocker(layout: string, target: string): Promise<void> {
  await skopeoCopy(`oci:${layout}`, `docker://${target}`, '--format', 'v2s2');
}

/** A port that nobody listens on now. */
export function freePort(host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** An authority, a server certificate for an address and localhost, and a client certificate, made by openssl. */
export function makeCertificates(directory: string, serverAddress = '127.0.0.1') {
  const path = (name: string) => join(directory, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.crt'),
    '-subj',
    '/CN=test authority',
    '-days',
    '2',
  );
  for (const [name, extension] of [
    ['server', `subjectAltName=IP:${serverAddress},DNS:localhost`],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    openssl(
      'req',
      ...key,
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.csr`),
      '-subj',
      `/CN=${name}`,
    );
    writeFileSync(path(`${name}.ext`), extension);
    openssl(
      'x509',
      '-req',
      '-in',
      path(`${name}.csr`),
      '-CA',
      path('ca.crt'),
      '-CAkey',
      path('ca.key'),
      '-CAcreateserial',
      '-out',
      path(`${name}.crt`),
      '-days',
      '2',
      '-extfile',
      path(`${name}.ext`),
    );
  }
  return {
    caFile: path('ca.crt'),
    serverCert: path('server.crt'),
    serverKey: path('server.key'),
    clientCert: path('client.crt'),
    clientKey: path('client.key'),
  };
}

function makeHtpasswd(
  directory: string,
  { username, password }: { username: string; password: string },
): string {
  const path = join(directory, 'htpasswd');
  execFileSync('htpasswd', ['-Bbc', path, username, password], { stdio: 'ignore' });
  return path;
}

async function listening(where: { host: string; port: number }, child: ChildProcess): Promise<void> {
  const { connect } = await import('node:net');
  let stderr = '';
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`docker-registry ended: ${stderr}`);
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(where, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('docker-registry does not listen');
}
