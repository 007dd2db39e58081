// A repository with the packages of a Kubernetes node that scripts/setup.sh --tests has made, and with the next patch of
// Kubernetes: the same programs, of which each differs a little.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = join(dirname(fileURLToPath(import.meta.url)), '../.cache/kubernetes');
const MINOR = '1.37';
/** Built from the source of the release, all of a patch release change. */
const PROGRAMS = ['kubeadm', 'kubectl', 'kubelet'];

/** Whether the packages have been made. */
export const hasKubernetes = () => existsSync(join(packages, MINOR)) && existsSync(join(packages, 'runtime'));

/**
 * Serves the repository on a free port of the loopback interface.
 * @param directory for everything; it must exist
 * @returns the two releases, older first; what spec.build.kubernetes and `repos_append` (instead of Docker's repository) say of the
 *   repository, as YAML in flow style; how to end it
 */
export async function serveKubernetes(directory) {
  const www = join(directory, 'kubernetes');
  const home = join(directory, 'gnupg');
  mkdirSync(www);
  mkdirSync(home, { mode: 0o700 });
  for (const kind of [MINOR, 'runtime']) {
    for (const name of readdirSync(join(packages, kind)).filter((one) => one.endsWith('.deb'))) {
      copyFileSync(join(packages, kind, name), join(www, name));
    }
  }
  const releases = nextPatch(directory, www);
  const gpg = (...argv) => execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', ...argv]);
  gpg('--passphrase', '', '--quick-generate-key', 'bench@example.org', 'ed25519', 'sign', 'never');
  for (const [file, kind] of [
    ['Packages', 'packages'],
    ['Release', 'release'],
  ]) {
    writeFileSync(join(www, file), execFileSync('apt-ftparchive', [kind, '.'], { cwd: www }));
  }
  gpg('--clearsign', '--output', join(www, 'InRelease'), join(www, 'Release'));
  const key = gpg('--armor', '--export').toString();
  writeFileSync(join(www, 'Release.key'), key);
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent']);

  const server = createServer((request, response) => {
    // The same files for both: apt wants one key for each address.
    const file = join(www, decodeURIComponent(request.url).replace(/^\/docker\//, '/'));
    const found = statSync(file, { throwIfNoEntry: false });
    if (!found?.isFile()) return response.writeHead(404).end();
    response.writeHead(200, { 'content-length': found.size });
    return createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const source = `http://127.0.0.1:${server.address().port}`;
  const checksum = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  return {
    releases,
    source: `source: "${source}", keyringURL: "${source}/Release.key", keyringChecksum: "${checksum}"`,
    runtime: `{name: docker, source: "${source}/docker", suite: /, keyring: ${JSON.stringify(key)}}`,
    stop: () => server.close(),
  };
}

/** Adds packages of the next patch release to those in `www`. */
function nextPatch(directory, www) {
  const [first = ''] = readdirSync(www).filter((name) => name.startsWith('kubelet_'));
  const [, minor, patch, revision] = /_(\d+\.\d+)\.(\d+)-([\d.]+)_/.exec(first);
  const [older, newer] = [`${minor}.${patch}`, `${minor}.${Number(patch) + 1}`];
  for (const name of PROGRAMS) {
    const tree = join(directory, name);
    execFileSync('dpkg-deb', ['--raw-extract', join(www, `${name}_${older}-${revision}_amd64.deb`), tree]);
    const control = join(tree, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replaceAll(older, newer));
    appendFileSync(join(tree, 'usr/bin', name), newer);
    const file = join(www, `${name}_${newer}-${revision}_amd64.deb`);
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z3', '--build', tree, file], {
      stdio: 'ignore',
    });
    rmSync(tree, { recursive: true });
  }
  return [older, newer];
}
