// What renders do with the executor `container` and in a container, on a real engine: the build that is left behind, the
// store that is only read, the store that machines share.
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { BuildSpec } from '../../../image-builder/spec/api/types.ts';
import { containedObject, digestIn, eventually } from '../support/contained-build.ts';
import { buildTarget, type DockerEngine, run, TEST_PREFIX } from '../support/docker.ts';
import { executable } from '../support/executables.ts';
import { kustomizes } from '../support/kustomize.ts';
import { startRegistry } from '../support/registry.ts';

interface Rendered {
  status: number;
  items: { metadata: { name: string }; bundle?: { digest: string } }[];
  results: { message: string; tags?: Record<string, string> }[];
}

/** What the suite has set up. */
export interface RenderMachine {
  engine: DockerEngine;
  /** For everything that is written; the function reads below it as nobody. */
  directory: string;
  executor: NonNullable<BuildSpec['executor']>;
  /** A store that has the root file system, as the image has. */
  storeCopy(): Promise<string>;
  /** Names of our containers, also of those that have ended. */
  containers(): Promise<string>;
}

/** The tests; part of engines.test.ts, since an image that builds takes minutes to make. */
export function testRenders(machine: () => RenderMachine): void {
  let engine: DockerEngine;
  let directory: string;
  let executor: RenderMachine['executor'];
  let storeCopy: RenderMachine['storeCopy'];
  let containers: RenderMachine['containers'];
  beforeAll(() => {
    ({ engine, directory, executor, storeCopy, containers } = machine());
  });

  /** A render by the function's executable. */
  async function render(store: string, changes: Partial<BuildSpec>): Promise<Rendered> {
    const functionConfig = parse(await containedObject({ executor, changes }));
    const input = stringify({
      apiVersion: 'config.kubernetes.io/v1',
      kind: 'ResourceList',
      items: [],
      functionConfig,
    });
    const { status, stdout } = await run(process.execPath, [executable('image-builder-fn')], {
      cwd: directory,
      env: {
        ...engine.environment,
        IMAGE_BUILDER_STORE: store,
        IMAGE_BUILDER_IMAGES: '*',
        IMAGE_BUILDER_NETWORKS: 'host',
        IMAGE_BUILDER_BACKGROUND_BUILDS: 'allow',
      },
      input,
    });
    const { items, results = [] } = parse(stdout);
    return { status, items, results };
  }
  const codeOf = ({ results }: Rendered) => results[0]?.tags?.code;
  const logOf = async ({ results }: Rendered) => await readFile(results[0]?.tags?.log ?? '', 'utf8');

  /** Made by the first test. */
  let built: { store: string; digest: string | undefined };

  describe('Trigger', () => {
    test('leaves the build to a container; then the result is there, and the container is gone', async () => {
      const store = await storeCopy();
      const first = await render(store, { whenMissing: 'Trigger' });
      expect([first.status, codeOf(first), first.items]).toEqual([1, 'BUILD_TRIGGERED', []]);
      await eventually(async () => expect(await containers()).not.toBe(''));
      expect(codeOf(await render(store, { whenMissing: 'Trigger' }))).toBe('BUILD_RUNNING');
      await eventually(async () => {
        const answer = await render(store, { whenMissing: 'Trigger' });
        if (codeOf(answer) === 'TRIGGERED_BUILD_FAILED') throw new Error(await logOf(answer));
        expect(answer.status).toBe(0);
      });
      // The result is in the store before the container has ended.
      await eventually(async () => expect(await logOf(first)).toContain('finished: oci:'));
      expect(await containers()).toBe('');

      const { items } = await render(store, { whenMissing: 'Build' });
      const waited = await render(store, { whenMissing: 'Trigger' });
      built = { store, digest: items.at(-1)?.bundle?.digest };
      expect(waited.items.at(-1)?.bundle?.digest).toBe(built.digest);
    });

    test('tells that the build in the container has failed, and why', async () => {
      const store = await storeCopy();
      const wanted: Partial<BuildSpec> = {
        whenMissing: 'Trigger',
        qcows: {
          node: {
            osconfig: {
              user_scripts: [{ name: 'broken', file_content: '#!/bin/sh\necho no luck\nexit 3\n' }],
            },
          },
        },
      };
      const first = await render(store, wanted);
      expect(codeOf(first)).toBe('BUILD_TRIGGERED');
      await eventually(async () =>
        expect(codeOf(await render(store, wanted))).toBe('TRIGGERED_BUILD_FAILED'),
      );
      const { results } = await render(store, wanted);
      const told = results.map(({ message }) => message).join('\n');
      expect(told).toMatch(/broken/);
      // Where it is outside of the container.
      expect(told).toContain(`log: ${store}/logs/`);
      expect(await logOf(first)).toContain('broken');
      expect(await containers()).toBe('');
    });
  });

  test('Fail, by the function in its image under kustomize: the store is only read, as nobody, without a network', async () => {
    const functionImage = await buildTarget(engine, 'function', { tag: `${TEST_PREFIX}/function:reads` });
    try {
      const { store, digest } = built;
      await run('chmod', ['-R', 'a+rX', store]);
      const before = await run('sh', ['-c', 'ls -lR "$0"', store]);
      const annotation = stringify({ container: { image: functionImage } });
      const asFunction = async (kustomize: string, changes: Partial<BuildSpec>) => {
        const path = await mkdtemp(join(directory, 'kustomization-'));
        const object = await containedObject({ annotation, changes: { whenMissing: 'Fail', ...changes } });
        await writeFile(join(path, 'image.yaml'), object);
        await writeFile(join(path, 'kustomization.yaml'), 'generators: [image.yaml]\n');
        const flags = ['--mount', `type=bind,src=${store},dst=/store`, '--env', 'IMAGE_BUILDER_STORE=/store'];
        return await run(kustomize, ['build', '--enable-alpha-plugins', ...flags, path], {
          env: engine.environment,
        });
      };
      for (const [version, kustomize] of await kustomizes()) {
        const found = await asFunction(kustomize, {});
        expect([version, digestIn(found)]).toEqual([version, digest]);
        const missing = await asFunction(kustomize, { qcows: { other: {} } });
        expect([version, missing.status]).toEqual([version, 1]);
        expect(missing.stderr).toMatch(/the bundle is not built yet.*image-builder build /);
      }
      expect(await run('sh', ['-c', 'ls -lR "$0"', store])).toEqual(before);
    } finally {
      await run('docker', ['image', 'rm', '--force', functionImage], { env: engine.environment });
    }
  });

  test('the shared store: what one machine has built in a container, another does not build', async () => {
    const registry = await startRegistry({ htpasswd: { username: 'ci', password: 'secret' } });
    try {
      const ci = generateKeyPairSync('ed25519');
      const signingKey = join(directory, 'ci.pem');
      await writeFile(signingKey, ci.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      const login = join(directory, 'login');
      await mkdir(login);
      const auth = Buffer.from('ci:secret').toString('base64');
      await writeFile(join(login, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
      const key = ci.publicKey.export({ type: 'spki', format: 'pem' }) as string;
      const build = async (store: string, env: NodeJS.ProcessEnv = {}) => {
        const cwd = await mkdtemp(join(directory, 'work-'));
        const shared = { repository: `${registry.host}/site/store`, trust: { keys: [key] } };
        const object = await containedObject({ executor, layout: 'out', changes: { store: shared } });
        await writeFile(join(cwd, 'image.yaml'), object);
        return await run(process.execPath, [executable('image-builder'), 'build', 'image.yaml'], {
          cwd,
          env: { ...engine.environment, IMAGE_BUILDER_STORE: store, DOCKER_CONFIG: login, ...env },
        });
      };
      const ciStore = await storeCopy();
      // The registry is down when CI builds: what could not be pushed goes with the next build, which changes nothing.
      await registry.kill();
      const first = await build(ciStore, { IMAGE_BUILDER_SIGNING_KEY: signingKey });
      expect(first.stderr).toContain('warning: the shared store cannot be used');
      await registry.start();
      const second = await build(ciStore, { IMAGE_BUILDER_SIGNING_KEY: signingKey });
      expect(digestIn(second)).toBe(digestIn(first));
      expect(second.stderr).toContain('push bundle-');
      expect((await build(ciStore, { IMAGE_BUILDER_SIGNING_KEY: signingKey })).stderr).not.toContain('push ');

      const laptop = await mkdtemp(join(directory, 'laptop-'));
      const fetched = await build(laptop);
      expect(digestIn(fetched)).toBe(digestIn(first));
      expect(fetched.stderr).toContain('fetch bundle-');
      expect(fetched.stderr).not.toMatch(/: started/);
      const entries = await readdir(join(laptop, 'entries'));
      expect(entries.map((name) => name.split('-')[0])).toEqual(['bundle']);
    } finally {
      await registry.stop();
    }
  });
}
