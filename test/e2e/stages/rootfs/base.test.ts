// The base under a root file system, against a real Debian: what is installed on top of one that was kept is what is installed
// on top of a new one, and a package that is no longer asked for leaves nothing.
import { createHash } from 'node:crypto';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { resolveBuild } from '../../../../image-builder/spec/variables/resolve.ts';
import { buildRootfs } from '../../../../image-builder/stages/rootfs/build-rootfs.ts';
import { AptSite } from '../../support/apt-repository.ts';
import { type Observed, stageContext } from '../../support/stage.ts';

const site = new AptSite('base');
const { directory, server, key } = site;
let url: string;
let runs = 0;

/** A daemon with all that may leave traces: a user, an alternative, a question, a file that others add to. */
const agent = (version: string) => ({
  name: 'vendor-agent',
  version,
  control: ['Depends: debconf, vendor-library | bash'],
  files: { '/usr/bin/vendor-agent': `#!/bin/sh\necho ${version}\n`, '/etc/vendor.conf': `${version}\n` },
  templates: 'Template: vendor-agent/port\nType: string\nDefault: 1\nDescription: port\n',
  postinst: `#!/bin/sh
set -e
. /usr/share/debconf/confmodule
db_get vendor-agent/port
echo "$RET" > /etc/vendor.port
useradd --system vendor
update-alternatives --install /usr/bin/agent agent /usr/bin/vendor-agent 10 >&2
`,
});

interface Built {
  digest: string;
  steps: readonly string[];
  context: Awaited<ReturnType<typeof stageContext>>;
}

/** Builds a small root file system with these packages of the vendor's on top. */
async function build(cache: string, packages: readonly string[], port = '7'): Promise<Built> {
  const spec = {
    rootfs: {
      multistrap: {
        kernel_base_pkg: 'bash',
        multistrap_retries: 0,
        packages: [],
        debconf: [
          { package: 'vendor-agent', question: 'vendor-agent/port', type: 'string', value: port } as const,
        ],
        repos_append: [
          { name: 'vendor', source: url, suite: '/', keyring: key.armoured, packages: [...packages] },
        ],
      },
    },
  };
  const resolved = await resolveBuild('node', spec, { cwd: directory });
  const distribution = { ...resolved.distribution, boot_packages: [] };
  const observed: Observed = { steps: [], lines: [] };
  const context = await stageContext(directory, `run-${runs++}`, { observed });
  const { mirror, sources, origins } = resolved;
  await buildRootfs(
    {
      ...{ distribution, mirror, origins, multistrap: resolved.rootfs.multistrap },
      ...(sources && { sources }),
      cacheDir: join(directory, cache),
      // Another publication of the vendor's changes nothing else.
      sourceDateEpoch: 1_790_000_000,
    },
    context,
  );
  const output = await context.sandbox.run(['sha256sum', join(context.outputDir, 'rootfs.tar')]);
  return { digest: output.slice(0, 64), steps: observed.steps, context };
}

const INSTALLED = 'install the packages of the base';
const TAKEN = 'unpack the base';

const keptIn = (cache: string) =>
  readdirSync(join(directory, cache, 'rootfs-base')).filter((name) => name.endsWith('.tar'));

async function listing({ context }: Built): Promise<string> {
  return await context.sandbox.run(['tar', '--list', '--file', join(context.outputDir, 'rootfs.tar')]);
}

async function read({ context }: Built, path: string): Promise<string> {
  const archive = join(context.outputDir, 'rootfs.tar');
  return await context.sandbox.run(['tar', '--extract', '--to-stdout', '--file', archive, path]);
}

/** Changes a byte in the middle. */
function damage(path: string): void {
  const file = openSync(path, 'r+');
  writeSync(file, '!', Math.floor(statSync(path).size / 2));
  closeSync(file);
}

beforeAll(async () => {
  url = `${await server.start()}/vendor`;
  site.publish('vendor', [agent('1.0'), { name: 'vendor-library', version: '1.0' }]);
});

afterAll(async () => {
  await site.stop();
  const { sandbox } = await stageContext(directory, 'end');
  await sandbox.run(['rm', '-rf', '--', directory]);
});

test('the same on a base that was kept, that is new, and that was damaged; without the package nothing of it', async () => {
  const without = await build('first', []);
  expect(without.steps).toContain(INSTALLED);
  expect(keptIn('first')).toHaveLength(1);

  const added = await build('first', ['vendor-agent']);
  expect(added.steps).toContain(TAKEN);
  expect(added.steps).not.toContain(INSTALLED);
  expect(await listing(added)).toMatch(/^\.\/etc\/alternatives\/agent$/m);

  // In another order: the package first, in a cache that knows nothing.
  const anew = await build('second', ['vendor-agent']);
  expect(anew.steps).toContain(INSTALLED);
  expect(anew.digest).toBe(added.digest);
  // The package goes again, and a byte of the kept base is not what it was.
  const [name = ''] = keptIn('second');
  const path = join(directory, 'second/rootfs-base', name);
  damage(path);
  const removed = await build('second', []);
  expect(removed.steps).toContain(INSTALLED);
  expect(removed.digest).toBe(without.digest);
  expect(keptIn('second')).toHaveLength(1);

  // An answer and a version of what is on top leave the base where it is.
  site.publish('vendor', [agent('2.0')]);
  const upgraded = await build('second', ['vendor-agent'], '8');
  expect(upgraded.steps).toContain(TAKEN);
  expect(await read(upgraded, './etc/vendor.port')).toBe('8\n');
  expect(await read(upgraded, './etc/vendor.conf')).toBe('2.0\n');

  const packages = JSON.parse(readFileSync(join(removed.context.outputDir, 'packages.json'), 'utf8'));
  expect(Object.keys(packages)).toContain('dpkg');
  expect(Object.keys(packages).filter((one) => one.startsWith('vendor'))).toEqual([]);
});

test('a large package is decompressed once, and again when what was kept of it is damaged', async () => {
  const noise = Array.from({ length: 20_000 }, (_, line) =>
    createHash('sha256').update(`${line}`).digest('base64'),
  );
  const files = { '/usr/share/vendor-data': `made by the package\n${noise.join('\n')}\n` };
  site.publish('vendor', [{ name: 'vendor-data', version: '1.0', files }]);
  const first = await build('first', ['vendor-data']);
  expect(await read(first, './usr/share/vendor-data')).toBe(files['/usr/share/vendor-data']);

  const cache = join(directory, 'first/package-data');
  const [kept = ''] = readdirSync(cache);
  const path = join(cache, kept);
  const [ofPackage = '', ofData = ''] = kept.split('-');
  const content = readFileSync(path);
  expect(createHash('sha256').update(content).digest('hex')).toBe(ofData);

  // What dpkg unpacks is what was kept: something else of the same form, by its right name.
  const other = Buffer.from(
    content.toString('latin1').replace('made by the package', 'made by the test...'),
    'latin1',
  );
  const digest = createHash('sha256').update(other).digest('hex');
  rmSync(path);
  writeFileSync(join(cache, `${ofPackage}-${digest}`), other);
  const forged = await build('first', ['vendor-data']);
  expect((await read(forged, './usr/share/vendor-data')).slice(0, 19)).toBe('made by the test...');

  damage(join(cache, `${ofPackage}-${digest}`));
  expect((await build('first', ['vendor-data'])).digest).toBe(first.digest);
  expect(readdirSync(cache)).toEqual([kept]);
});

test('package lists that are still the newest are not fetched again; damaged ones are', async () => {
  const requestsOf = async () => {
    server.requests.length = 0;
    const built = await build('first', ['vendor-agent']);
    const names = server.requests.filter((one) => !one.endsWith('.deb')).map((one) => basename(one));
    return {
      digest: built.digest,
      lists: names.filter((one) => one.startsWith('Packages')).length > 0,
      names,
    };
  };
  site.publish('vendor', [agent('3.0')]);
  const published = await requestsOf();
  expect(published.lists).toBe(true);
  const again = await requestsOf();
  expect(again).toMatchObject({ digest: published.digest, lists: false });
  // Whether they are the newest is asked for each time.
  expect(again.names).toContain('InRelease');

  const lists = join(directory, 'first/package-lists');
  const [ours = ''] = readdirSync(lists, { recursive: true, encoding: 'utf8' }).filter((one) =>
    /_vendor_.*Packages$/.test(one),
  );
  damage(join(lists, ours));
  expect(await requestsOf()).toMatchObject({ digest: published.digest, lists: true });

  site.publish('vendor', [agent('4.0')]);
  expect((await requestsOf()).digest).not.toBe(published.digest);
});
