// What went wrong on the network, in the user's words.

import { cancelled } from '../../base/diagnostics/cancelled.ts';
import { ImageBuilderError } from '../../base/diagnostics/error.ts';
import { RegistryError } from './registry-error.ts';

const TLS_CODES =
  /^(?:CERT_|ERR_TLS|ERR_SSL|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|ERR_OSSL|EPROTO)/;
const CODES: Record<string, { problem: string; hint: string }> = {
  ECONNREFUSED: {
    problem: 'refuses connections',
    hint: 'Check the port, and whether the registry is running.',
  },
  ENOTFOUND: {
    problem: 'is not a known host name',
    hint: 'Check the spelling and the DNS; behind a proxy set HTTPS_PROXY.',
  },
  EAI_AGAIN: {
    problem: 'cannot be looked up: the name server does not answer',
    hint: 'Check the network; in a container function, the function needs `network: true`.',
  },
  ECONNRESET: {
    problem: 'broke the connection',
    hint: 'If this happens again, ask the operator of the registry or the proxy.',
  },
  ENETUNREACH: {
    problem: 'cannot be reached: there is no route',
    hint: 'In a container function, the function needs `network: true`.',
  },
  EHOSTUNREACH: { problem: 'cannot be reached', hint: 'Check the network and the proxy settings.' },
  ETIMEDOUT: { problem: 'does not answer', hint: 'Check the network and the proxy settings.' },
};

/**
 * Turns what Node throws on a connection into an error for users: a RegistryError, or what the signal says. Our own errors
 * pass unchanged.
 */
export function networkError(cause: unknown, url: URL, signal?: AbortSignal): ImageBuilderError {
  if (cause instanceof ImageBuilderError) return cause;
  if (signal?.aborted) return cancelled(signal);
  const error = rootOf(cause);
  const code = error.code ?? '';
  if (TLS_CODES.test(code)) return tlsError(code, error.message, url, cause);
  const known = CODES[code];
  if (known)
    return new RegistryError('NETWORK', `${url.host} ${known.problem} (${code})`, {
      cause,
      hint: known.hint,
    });
  return new RegistryError('NETWORK', `the connection to ${url.host} failed: ${error.message}`, { cause });
}

/** Node collects the errors of several addresses of a host in an AggregateError without a message. */
function rootOf(cause: unknown): NodeJS.ErrnoException {
  const [first] = (cause as { errors?: NodeJS.ErrnoException[] } | undefined)?.errors ?? [];
  if (first) return first;
  // Not `instanceof`: errors may come from another realm (worker contexts, test runners).
  const error = cause as NodeJS.ErrnoException | undefined;
  return typeof error?.message === 'string' ? error : new Error(String(cause));
}

/** The server's certificate comes from no authority that was asked. */
const UNKNOWN_AUTHORITY =
  /^(?:UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_UNTRUSTED)$/;

/** Whether other authorities may know the certificate. @param error as the runtime threw it, or our own about that */
export function isUnknownAuthority(error: unknown): boolean {
  const { code, cause } = (error ?? {}) as { code?: string; cause?: unknown };
  return UNKNOWN_AUTHORITY.test(code ?? '') || (cause !== undefined && isUnknownAuthority(cause));
}

/**
 * Whether a TLS handshake failed because the other side does not speak TLS; a bad certificate is another matter.
 * @param error as Node threw it
 */
export function speaksPlainHttp(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return (
    code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG'
  );
}

function tlsError(code: string, message: string, url: URL, cause: unknown): RegistryError {
  const plain = code === 'EPROTO' || /wrong version number|packet length too long/i.test(message);
  const hint = plain
    ? `${url.host} may be a plain HTTP registry; mark it as insecure in registries.conf or pass --insecure.`
    : `Put the authority's certificate into /etc/docker/certs.d/${url.host}/ca.crt, or the client certificate beside it.`;
  return new RegistryError('TLS', `no secure connection to ${url.host}: ${message}`, { cause, hint });
}
