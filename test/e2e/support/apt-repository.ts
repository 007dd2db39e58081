// Signed apt repositories with small real packages, made by the tests and served over HTTP.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';

/** A key that can sign, and its public half as apt reads it. */
export interface SigningKey {
  home: string;
  /** ASCII-armoured public key. */
  armoured: string;
}

/** Makes a key in a GnuPG home of its own. */
export function makeKey(directory: string, name: string): SigningKey {
  const home = join(directory, `gnupg-${name}`);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const gpg = (...args: string[]) =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', ...args], { encoding: 'utf8' });
  gpg('--passphrase', '', '--quick-generate-key', `${name}@example.org`, 'ed25519', 'sign', 'never');
  return { home, armoured: gpg('--armor', '--export') };
}

/** Ends the agent that gpg has started for the key. */
export const forgetKey = ({ home }: SigningKey) =>
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent']);

/**
 * A package that installs the given files; text by absolute path. Those in /usr/bin are executable, those in /etc are
 * conffiles.
 */
export interface TestPackage {
  name: string;
  version: string;
  files?: Record<string, string>;
  /** Further lines of its control file: `Depends: ...`. */
  control?: string[];
  /** Maintainer script. */
  postinst?: string;
  /** Questions of debconf(7), as debian/templates has them. */
  templates?: string;
}

/** Builds the packages into `directory`. */
export function buildPackages(directory: string, packages: readonly TestPackage[]): void {
  mkdirSync(directory, { recursive: true });
  for (const { name, version, files = {}, control = [], postinst, templates } of packages) {
    const root = join(directory, `.${name}_${version}`);
    const write = (path: string, text: string) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    };
    const fields = [
      `Package: ${name}`,
      `Version: ${version}`,
      'Architecture: all',
      'Maintainer: Tests <tests@example.org>',
      ...control,
      `Description: test package ${name}`,
    ];
    write('DEBIAN/control', `${fields.join('\n')}\n`);
    if (templates !== undefined) write('DEBIAN/templates', templates);
    if (postinst !== undefined) {
      write('DEBIAN/postinst', postinst);
      chmodSync(join(root, 'DEBIAN/postinst'), 0o755);
    }
    for (const [path, text] of Object.entries(files)) {
      write(path, text);
      if (path.startsWith('/usr/bin/')) chmodSync(join(root, path), 0o755);
    }
    const conffiles = Object.keys(files).filter((path) => path.startsWith('/etc/'));
    if (conffiles.length > 0) write('DEBIAN/conffiles', `${conffiles.join('\n')}\n`);
    const file = join(directory, `${name}_${version.replace(':', '%3a')}_all.deb`);
    // The same package is the same file, whenever it is built.
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1700000000' };
    execFileSync('dpkg-deb', ['--root-owner-group', '--build', root, file], { stdio: 'ignore', env });
    execFileSync('rm', ['-r', root]);
  }
}

/** Signs `Release` of a directory in place; without a key it stays unsigned. */
function sign(directory: string, key: SigningKey | undefined): void {
  if (key === undefined) return;
  const args = ['--homedir', key.home, '--batch', '--yes', '--clearsign', '--output', 'InRelease', 'Release'];
  execFileSync('gpg', args, { cwd: directory, stdio: 'ignore' });
}

const archive = (cwd: string, ...args: string[]) =>
  execFileSync('apt-ftparchive', args, { cwd, encoding: 'utf8' });

/** A flat repository (suite `/`) of the packages in `directory`, with further fields of its Release file. */
export function publishFlat(directory: string, key?: SigningKey, fields: readonly string[] = []): void {
  writeFileSync(join(directory, 'Packages'), archive(directory, 'packages', '.'));
  const release = fields.map((field) => `${field}\n`).join('') + archive(directory, 'release', '.');
  writeFileSync(join(directory, 'Release'), release);
  sign(directory, key);
}

/** A repository with a suite of one component; the packages are those of `directory`/pool. */
export function publishSuite(directory: string, suite: string, key?: SigningKey, component = 'main'): void {
  const release = join(directory, 'dists', suite);
  const binary = join(release, component, 'binary-amd64');
  mkdirSync(binary, { recursive: true });
  writeFileSync(join(binary, 'Packages'), archive(directory, 'packages', 'pool'));
  const options = [
    ['Suite', suite],
    ['Codename', suite],
    ['Components', component],
    ['Architectures', 'amd64'],
  ].flatMap(([name, value]) => ['-o', `APT::FTPArchive::Release::${name}=${value}`]);
  writeFileSync(join(release, 'Release'), archive(directory, 'release', ...options, `dists/${suite}`));
  sign(release, key);
}

/**
 * Serves a directory on a free port of the loopback interface. `failures` of each path are answered with 503 first; of
 * files below a path in `dying` only the first half is sent.
 */
export class FileServer {
  readonly #server: Server;
  readonly requests: string[] = [];
  readonly failures = new Map<string, number>();
  readonly dying = new Set<string>();
  /** Path prefix → `user:password` that it wants. */
  readonly logins = new Map<string, string>();

  constructor(directory: string) {
    this.#server = createServer((request, response) => {
      const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://host').pathname));
      this.requests.push(path);
      const failures = this.failures.get(path) ?? 0;
      if (failures > 0) {
        this.failures.set(path, failures - 1);
        response.writeHead(503).end();
        return;
      }
      const [, login] = [...this.logins].find(([prefix]) => path.startsWith(prefix)) ?? [];
      const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`;
      if (wanted !== undefined && request.headers.authorization !== wanted) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="tests"' }).end();
        return;
      }
      const file = join(directory, path);
      const found = statSync(file, { throwIfNoEntry: false });
      if (!found?.isFile()) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-length': found.size });
      if ([...this.dying].some((prefix) => path.startsWith(prefix))) {
        const end = Math.floor(found.size / 2);
        createReadStream(file, { end })
          .on('end', () => response.destroy())
          .pipe(response, { end: false });
        return;
      }
      createReadStream(file).pipe(response);
    });
  }

  /** Base URL without a trailing slash. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Repositories in a directory of their own, all signed by one key, served over HTTP. */
export class AptSite {
  /** For whatever else the tests write; the caller removes it. */
  readonly directory: string;
  /** What is served. */
  readonly www: string;
  readonly server: FileServer;
  readonly key: SigningKey;

  constructor(name: string) {
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
    this.www = join(this.directory, 'www');
    mkdirSync(this.www);
    this.server = new FileServer(this.www);
    this.key = makeKey(this.directory, name);
  }

  /** (Re)makes a flat repository of these packages below {@link www}. */
  publish(name: string, packages: readonly TestPackage[]): void {
    const directory = join(this.www, name);
    rmSync(directory, { recursive: true, force: true });
    buildPackages(directory, packages);
    publishFlat(directory, this.key);
  }

  /** A way to have the key from a URL; the file `key.asc` has to be there. */
  keyringFrom(url: string): { keyring_url: string; keyring_checksum: string } {
    const hex = createHash('sha256').update(this.key.armoured).digest('hex');
    return { keyring_url: `${url}/key.asc`, keyring_checksum: `sha256:${hex}` };
  }

  async stop(): Promise<void> {
    await this.server.stop();
    forgetKey(this.key);
  }
}
