// Finds the API server and whoever asks it: by the kubeconfig as kubectl finds it, or by the Pod's service account
// (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
//
// The client of the Kubernetes project reads it, and knows the ways to authenticate: certificates, tokens, programs, OpenID
// Connect. Whoever needs this module loads it late, since that takes a tenth of a second.
import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { delimiter, join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import type { Env } from '../base/env.ts';
import { ClusterError } from './cluster-error.ts';

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/** How a cluster is reached. */
export interface ClusterAccess {
  /** URL of the API server. */
  server: string;
  /** The namespace of the context. */
  namespace: string;
  /** Headers, certificates and agent of a request, as they are now: tokens are renewed. */
  authenticate(): Promise<RequestOptions>;
}

/**
 * @param context of the kubeconfig; default: its current one
 * @throws ClusterError KUBECONFIG_UNUSABLE
 */
export function readKubeconfig(context: string | undefined, env: Env): ClusterAccess {
  const config = new KubeConfig();
  const files = kubeconfigFiles(env);
  if (files.length > 0) loadFiles(config, files);
  else if (context === undefined && inPod(env)) config.loadFromCluster();
  else
    throw unusable(
      'there is no kubeconfig',
      'set KUBECONFIG, or make ~/.kube/config; in a Pod, name no context',
    );
  if (context !== undefined) config.setCurrentContext(context);
  const where = files.join(', ') || 'the service account of the Pod';
  const current = config.getContextObject(config.getCurrentContext());
  const cluster = config.getCurrentCluster();
  if (!current || !cluster) {
    const names = config.getContexts().map(({ name }) => name);
    const wanted = context ?? (config.getCurrentContext() || 'that is current');
    throw unusable(
      `${where} has no context ${wanted}`,
      names.length > 0 ? `it has ${names.join(', ')}` : 'it has none',
    );
  }
  return {
    server: cluster.server,
    namespace: current.namespace || 'default',
    authenticate: async () => {
      const options: RequestOptions = {};
      try {
        await config.applyToHTTPSOptions(options);
      } catch (cause) {
        throw unusable(`${where} does not authenticate: ${(cause as Error).message}`, undefined, cause);
      }
      // An agent of its own for each request is a handshake for each; only a proxy needs one.
      const { agent, ...rest } = options;
      return cluster.proxyUrl && agent ? { ...rest, agent } : rest;
    },
  };
}

function kubeconfigFiles({ KUBECONFIG, HOME }: Env): string[] {
  const named = (KUBECONFIG ?? '').split(delimiter).filter((file) => file !== '');
  if (named.length > 0) return named;
  const file = HOME ? join(HOME, '.kube', 'config') : undefined;
  return file !== undefined && existsSync(file) ? [file] : [];
}

const inPod = ({ KUBERNETES_SERVICE_HOST }: Env) =>
  KUBERNETES_SERVICE_HOST !== undefined && existsSync(join(SERVICE_ACCOUNT, 'token'));

/** What several files name alike counts where it is named first. */
function loadFiles(config: KubeConfig, files: readonly string[]): void {
  const [first = '', ...others] = files;
  try {
    config.loadFromFile(first);
    for (const file of others) {
      const next = new KubeConfig();
      next.loadFromFile(file);
      for (const cluster of next.getClusters())
        if (!config.getCluster(cluster.name)) config.addCluster(cluster);
      for (const user of next.getUsers()) if (!config.getUser(user.name)) config.addUser(user);
      for (const one of next.getContexts()) if (!config.getContextObject(one.name)) config.addContext(one);
      if (!config.getCurrentContext()) config.setCurrentContext(next.getCurrentContext());
    }
  } catch (cause) {
    throw unusable(`${files.join(', ')} cannot be read: ${(cause as Error).message}`, undefined, cause);
  }
}

function unusable(message: string, hint?: string, cause?: unknown): ClusterError {
  return new ClusterError('KUBECONFIG_UNUSABLE', message, {
    ...(hint !== undefined && { hint }),
    ...(cause !== undefined && { cause }),
  });
}
