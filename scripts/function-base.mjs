// Lays the function over what it runs on (scripts/function-base.sh): dist/function-base/ARCHITECTURE, the base of
// bundles, as image-builder/bundle/base-image.ts reads it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, link, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';

/**
 * Makes the base for this machine's architecture and for those that scripts/function-base.sh was asked for before.
 * Without Debian's packages there is none, which is reported: everything else works.
 */
export async function writeFunctionBases(root, dist) {
  const runtimes = join(root, '.cache/function-base');
  const before = await readdir(runtimes).catch(() => []);
  const architectures = new Set([...before, { x64: 'amd64' }[process.arch] ?? process.arch]);
  try {
    execFileSync(join(root, 'scripts/function-base.sh'), [...architectures], { stdio: ['ignore', 2, 2] });
  } catch {
    console.error('build: scripts/function-base.sh has failed: bundles need a bundle.base of their own');
  }
  const layer = await programLayer(dist);
  for (const architecture of await readdir(runtimes).catch(() => []))
    await writeBase(
      join(runtimes, architecture),
      join(dist, 'function-base', architecture),
      architecture,
      layer,
    );
}

async function writeBase(runtimeDirectory, directory, architecture, layer) {
  const runtime = JSON.parse(await readFile(join(runtimeDirectory, 'runtime.json'), 'utf8'));
  const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
  await mkdir(directory, { recursive: true });
  await linkOrCopy(join(runtimeDirectory, 'runtime.tar.gz'), join(directory, blobName(runtime.digest)));
  await writeFile(join(directory, blobName(digest)), layer);
  const packages = ['nodejs', 'busybox-static'].map((name) => `${name} ${runtime.packages[name]}`);
  const base = {
    config: {
      architecture,
      os: 'linux',
      config: {
        Env: [
          'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
          // The function's errors say what a container would need.
          'IMAGE_BUILDER_CONTAINER=1',
          // What its container sees, its caller has mounted: a spec may use it.
          'IMAGE_BUILDER_ALLOW_PATHS=/',
          'IMAGE_BUILDER_ALLOW_OUTPUTS=/',
          'SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt',
        ],
        WorkingDir: '/tmp',
      },
      rootfs: { type: 'layers', diff_ids: [runtime.diffId, digest] },
      history: [
        // image-builder/bundle/read/layer-plan.ts knows these, and where the layers write to.
        { created_by: `image-builder: function: Debian's ${packages.join(', ')}` },
        { created_by: 'image-builder: function: /usr/local/bin/function' },
      ],
    },
    layers: [
      { mediaType: `${OCI_LAYER}+gzip`, digest: runtime.digest, size: runtime.size },
      { mediaType: OCI_LAYER, digest, size: layer.length },
    ],
  };
  await writeFile(join(directory, 'base.json'), JSON.stringify(base));
}

/** A tar of the function, the same for the same program. It is too small to be worth compressing. */
async function programLayer(dist) {
  const archive = pack();
  const common = { uid: 0, gid: 0, mtime: new Date(0) };
  const directories = (...names) => {
    for (const name of names) archive.entry({ ...common, name, type: 'directory', mode: 0o755 });
  };
  directories('usr/', 'usr/local/', 'usr/local/bin/');
  archive.entry(
    { ...common, name: 'usr/local/bin/function', mode: 0o755 },
    await readFile(join(dist, 'image-builder-fn')),
  );
  directories('usr/share/', 'usr/share/doc/', 'usr/share/doc/image-builder/');
  const notices = await readFile(join(dist, 'THIRD-PARTY-NOTICES'));
  archive.entry({ ...common, name: 'usr/share/doc/image-builder/THIRD-PARTY-NOTICES', mode: 0o644 }, notices);
  archive.finalize();
  return await buffer(archive);
}

const blobName = (digest) => digest.slice('sha256:'.length);

async function linkOrCopy(from, to) {
  await link(from, to).catch(() => copyFile(from, to));
}
