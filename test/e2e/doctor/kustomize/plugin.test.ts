// The legacy exec plugin under real kustomize, and the doctor on real kustomizations.
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { examine } from '../../../../image-builder/doctor/doctor.ts';
import { installPlugin } from '../../../../image-builder/doctor/kustomize/install-plugin.ts';
import { run } from '../../support/docker.ts';
import { kustomizes } from '../../support/kustomize.ts';

const root = resolve(__dirname, '../../../..');
// The function lies beside the command, whichever of the two is asked.
const executable = join(root, 'dist/image-builder-fn');
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-builder-plugin-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function kustomization(files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(directory, 'kustomization-'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  return path;
}

describe('install-plugin', () => {
  const environment = () => ({ HOME: directory, XDG_CONFIG_HOME: join(directory, 'config') });

  test('makes kustomize call the function without any annotation, as generator and as transformer', async () => {
    const { paths } = await installPlugin({}, environment(), executable);
    expect(paths[0]).toBe(
      join(directory, 'config/kustomize/plugin/airshipit.org/v1alpha1/imagebuilder/ImageBuilder'),
    );
    expect((await stat(paths[0] ?? '')).mode & 0o777).toBe(0o755);
    const files = {
      'image.yaml':
        'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata: {name: a}\nspec: {bundle: {image: "oci:nowhere"}}\n',
      'kept.yaml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\n',
    };
    for (const list of ['generators', 'transformers']) {
      const path = await kustomization({
        ...files,
        'kustomization.yaml': `resources: [kept.yaml]\n${list}: [image.yaml]\n`,
      });
      for (const [, kustomize] of await kustomizes()) {
        const result = await run(kustomize, ['build', '--enable-alpha-plugins', path], {
          env: { ...process.env, ...environment() },
        });
        // The bundle does not exist: what counts here is that our function was asked, and its error is shown.
        expect(result.status).not.toBe(0);
        expect(result.stderr).toContain('nowhere');
      }
    }
  });

  test('writes nothing over foreign files, and removes only its own', async () => {
    const { paths } = await installPlugin({ directory: join(directory, 'own') }, {}, executable);
    const [path = ''] = paths;
    await writeFile(path, '#!/bin/sh\n');
    await expect(installPlugin({ directory: join(directory, 'own') }, {}, executable)).rejects.toMatchObject({
      code: 'FOREIGN_FILE',
    });
    await expect(
      installPlugin({ directory: join(directory, 'own'), remove: true }, {}, executable),
    ).rejects.toMatchObject({
      code: 'FOREIGN_FILE',
    });
    expect(await readFile(path, 'utf8')).toBe('#!/bin/sh\n');
    await installPlugin({ directory: join(directory, 'own'), force: true }, {}, executable);
    const removed = await installPlugin({ directory: join(directory, 'own'), remove: true }, {}, executable);
    expect(removed.paths).toEqual(paths);
    await expect(stat(path)).rejects.toThrow();
  });

  test('quotes the path of the function', async () => {
    const odd = await mkdtemp(join(directory, "it's a "));
    const functionPath = join(odd, 'image-builder-fn');
    await writeFile(functionPath, '#!/bin/sh\necho "called $1 $2"\n');
    await chmod(functionPath, 0o755);
    const { paths } = await installPlugin({ directory: odd, function: functionPath }, {}, '');
    expect((await run(paths[0] ?? '', ['config.yaml'])).stdout).toBe('called config.yaml -\n');
  });

  test('says what is missing', async () => {
    await expect(installPlugin({}, {}, executable)).rejects.toMatchObject({ code: 'NO_PLUGIN_HOME' });
    await expect(installPlugin({ directory, function: '/nowhere' }, {}, '')).rejects.toMatchObject({
      code: 'FUNCTION_MISSING',
    });
  });
});

describe('doctor', () => {
  test('follows a kustomization to the functions of its bases', async () => {
    const base = await kustomization({
      'kustomization.yaml': 'validators:\n- image.yaml\n',
      'image.yaml':
        'apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/function: "exec: {path: ./fn}"\nspec: {bundle: {image: "oci:a"}}\n',
    });
    const path = await kustomization({
      'kustomization.yaml': `resources: [../${base.split('/').at(-1)}]\ngenerators:\n- |-\n  apiVersion: airshipit.org/v1alpha1\n  kind: ImageBuilder\n  metadata: {name: b}\ntransformers: [missing.yaml]\n`,
    });
    const findings = await examine([path], { HOME: directory, PATH: process.env.PATH });
    const messages = findings.map(({ message, file }) => `${file?.split('/').at(-1)}: ${message}`).join('\n');
    expect(messages).toContain('kustomization.yaml: kustomize fails on every function under validators');
    expect(messages).toContain("image.yaml: ./fn is not an executable from the kustomization's directory");
    expect(messages).toContain('kustomization.yaml: has no annotation config.kubernetes.io/function');
    expect(messages).toContain('missing.yaml: cannot be read');
  });

  test('what it warns of is what kustomize does: an exec function is left out silently', async () => {
    const path = await kustomization({
      'kustomization.yaml': 'generators: [image.yaml]\n',
      'image.yaml': `apiVersion: airshipit.org/v1alpha1\nkind: ImageBuilder\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/function: "exec: {path: ${root}/dist/image-builder-fn}"\nspec: {bundle: {image: "oci:a"}}\n`,
    });
    for (const [, kustomize] of await kustomizes()) {
      const result = await run(kustomize, ['build', '--enable-alpha-plugins', path]);
      expect([result.status, parseAllDocuments(result.stdout).length]).toEqual([0, 0]);
    }
    expect((await examine([path], process.env)).map(({ message }) => message).join('\n')).toContain(
      '--enable-exec',
    );
  });
});
