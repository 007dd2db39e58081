// An API server that answers with an error: a Status (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
import type { IncomingMessage } from 'node:http';
import { ClusterError } from './cluster-error.ts';

/** What is known of the request. */
interface Asked {
  method: string;
  path: string;
}

/** The server refuses something, for a reason that may pass or that the caller knows what to do about. */
export class ApiError extends Error {
  readonly status: number;
  /** `AlreadyExists`, `NotFound`, `Conflict`, `Expired`, ... */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
  }

  /** Whether the same request may succeed in a moment. */
  get isTemporary(): boolean {
    return this.status === 429 || this.status >= 500;
  }

  /** As what it means to a user who cannot do anything about the request. */
  toClusterError(what: string): ClusterError {
    return new ClusterError('CLUSTER_REFUSED', `the cluster refuses ${what}: ${this.message}`, {
      cause: this,
    });
  }
}

/** Reads the answer. */
export async function toApiError(
  response: IncomingMessage,
  asked: Asked,
  server: string,
): Promise<ApiError | ClusterError> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response) {
    size += (part as Buffer).length;
    if (size <= LIMIT) parts.push(part as Buffer);
  }
  const { message, reason } = parseStatus(Buffer.concat(parts).toString('utf8'));
  const { statusCode = 0, statusMessage } = response;
  const text = message || `${statusCode} ${statusMessage ?? ''}`.trim();
  if (statusCode === 401)
    return new ClusterError(
      'CLUSTER_UNAUTHORIZED',
      `the API server ${server} does not know who asks: ${text}`,
      {
        hint: 'the token or certificate of the kubeconfig has expired, or belongs to another cluster; log in again',
      },
    );
  if (statusCode === 403 && /cannot \w+ resource/.test(text)) return forbidden(text);
  return new ApiError(statusCode, reason || '', text || asked.path);
}

/** More than this of an error is not read (bytes). */
const LIMIT = 65_536;

function parseStatus(text: string): { message?: string; reason?: string } {
  try {
    const { message, reason } = JSON.parse(text);
    return { message: String(message ?? ''), reason: String(reason ?? '') };
  } catch {
    return { message: text.split('\n')[0]?.slice(0, 500) ?? '' };
  }
}

/** The rule that a Role lacks, out of the server's sentence. */
function forbidden(message: string): ClusterError {
  const found = /cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?/.exec(
    message,
  );
  const [, verb, resource, group, namespace] = found ?? [];
  const rule = `{apiGroups: ["${group}"], resources: [${resource}], verbs: [${verb}]}`;
  return new ClusterError('CLUSTER_FORBIDDEN', message, {
    hint: found
      ? `the Role${namespace ? ` in ${namespace}` : ''} needs the rule ${rule}; manifests/kubernetes has all of them`
      : 'manifests/kubernetes has the Role',
  });
}
