// The legacy exec plugin of kustomize: the only way to call the function under `kubectl kustomize`, which has no
// --enable-exec. A plugin is an executable at <plugin home>/<group>/<version>/<lowercase kind>/<Kind>; kustomize calls it
// with the configuration's file, writes the objects to its standard input and reads objects from its standard output.

import { join } from 'node:path';
import type { Env } from '../../base/env.ts';

/** Kinds that the function handles and that can be a plugin: a plugin needs a group. */
export const PLUGIN_KINDS = ['ImageBuilder', 'IsoConfiguration'] as const;

const MARK = '# Installed by `image-builder install-plugin`.';

/**
 * Where kustomize looks for plugins, in its order; the first that exists is the only one that it uses.
 * @throws nothing; an environment without HOME leaves the relative places out.
 */
export function pluginHomes(environment: Env): string[] {
  const { KUSTOMIZE_PLUGIN_HOME, XDG_CONFIG_HOME, HOME } = environment;
  return [
    ...(KUSTOMIZE_PLUGIN_HOME ? [KUSTOMIZE_PLUGIN_HOME] : []),
    ...(XDG_CONFIG_HOME ? [join(XDG_CONFIG_HOME, 'kustomize/plugin')] : []),
    ...(HOME ? [join(HOME, '.config/kustomize/plugin'), join(HOME, 'kustomize/plugin')] : []),
  ];
}

/** Path of a kind's plugin below the plugin home. */
export function pluginPath(kind: string): string {
  return join('airshipit.org/v1alpha1', kind.toLowerCase(), kind);
}

/** The plugin: hands everything to the function, which answers with bare objects when it is given a file. */
export function pluginShim(functionPath: string): string {
  const quoted = `'${functionPath.replaceAll("'", "'\\''")}'`;
  return `#!/bin/sh\n${MARK}\nexec ${quoted} "$1" -\n`;
}

/** Whether a file is a shim of ours, which may be replaced. */
export function isPluginShim(text: string): boolean {
  return text.includes(MARK);
}
