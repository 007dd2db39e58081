// Writes and removes the legacy exec plugins of kustomize.

import { access, constants, mkdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import type { Env } from '../../base/env.ts';
import { replaceFile } from '../../base/files/replace.ts';
import { isPluginShim, PLUGIN_KINDS, pluginHomes, pluginPath, pluginShim } from './plugin.ts';

export type PluginErrorCode =
  /** There is no executable of the function. */
  | 'FUNCTION_MISSING'
  /** The environment does not say where kustomize looks for plugins. */
  | 'NO_PLUGIN_HOME'
  /** A file that this command did not write is in the way. */
  | 'FOREIGN_FILE';

/** Why a plugin cannot be installed. */
export class PluginError extends ImageBuilderError<PluginErrorCode> {}

/** What to install. */
export interface InstallPluginRequest {
  directory?: string;
  function?: string;
  remove?: boolean;
  force?: boolean;
}

/**
 * Installs (or removes) a plugin for each kind. Installing twice changes nothing.
 * @param executable the running command, beside which the function lies.
 * @throws PluginError
 */
export async function installPlugin(
  request: InstallPluginRequest,
  environment: Env,
  executable: string,
): Promise<{ paths: string[]; notes: string[] }> {
  const homes = pluginHomes(environment);
  const home = request.directory ? resolve(request.directory) : await firstThatExists(homes);
  const paths = PLUGIN_KINDS.map((kind) => join(home, pluginPath(kind)));
  const present = await Promise.all(paths.map((path) => readFile(path, 'utf8').catch(() => undefined)));
  const foreign = paths.filter(
    (_, index) => present[index] !== undefined && !isPluginShim(present[index] ?? ''),
  );
  if (foreign.length > 0 && !request.force) {
    throw new PluginError('FOREIGN_FILE', `${foreign.join(', ')}: not written by this command`, {
      hint: 'look at it, and use --force to replace it',
    });
  }
  if (request.remove) {
    for (const path of paths) await rm(path, { force: true });
    return { paths: paths.filter((_, index) => present[index] !== undefined), notes: [] };
  }

  const shim = pluginShim(await findFunction(request.function, environment, executable));
  for (const path of paths) {
    await mkdir(dirname(path), { recursive: true });
    await replaceFile(path, shim, { mode: 0o755 });
  }
  const found = homes.includes(home);
  const notes = [
    'kustomize calls it with --enable-alpha-plugins; objects must not have a function annotation in that case',
  ];
  if (!found) notes.push(`kustomize finds it with KUSTOMIZE_PLUGIN_HOME=${home}`);
  return { paths, notes };
}

/** The plugin home that kustomize uses; the first writable convention when there is none yet. */
async function firstThatExists(homes: string[]): Promise<string> {
  for (const home of homes) if (await stat(home).catch(() => undefined)) return home;
  const [home] = homes;
  if (home === undefined) {
    throw new PluginError(
      'NO_PLUGIN_HOME',
      'neither HOME nor XDG_CONFIG_HOME nor KUSTOMIZE_PLUGIN_HOME is set',
      {
        hint: 'name the plugin home with --directory',
      },
    );
  }
  return home;
}

async function findFunction(
  named: string | undefined,
  environment: Env,
  executable: string,
): Promise<string> {
  const beside = await realpath(executable).then(dirname, () => undefined);
  const candidates = named
    ? [resolve(named)]
    : [
        ...(beside === undefined ? [] : [join(beside, 'image-builder-fn')]),
        ...(environment.PATH ?? '')
          .split(delimiter)
          .filter((entry) => entry.startsWith('/'))
          .map((directory) => join(directory, 'image-builder-fn')),
      ];
  for (const candidate of candidates) {
    const executableFile = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executableFile) return candidate;
  }
  throw new PluginError(
    'FUNCTION_MISSING',
    `there is no executable ${candidates.length === 1 ? candidates[0] : 'image-builder-fn beside this command or on PATH'}`,
    {
      hint: 'run npm run build, or name it with --function',
    },
  );
}
