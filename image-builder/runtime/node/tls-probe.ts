// Whether a host speaks TLS, asked without node:tls: loading that and setting up a handshake takes longer than a whole
// exchange with a local registry.

import { connect } from 'node:net';
import { CLIENT_HELLO, isTlsAnswer } from '../../oci/http/tls-hello.ts';
import { destroyOnAbort } from './destroy-on-abort.ts';

/**
 * Sends a ClientHello, and nothing else, and looks at the first byte of the answer. A failure of any other kind is left
 * for the request to meet: the answer is true then.
 * @param timeout milliseconds
 * @param signal ends the question; the answer is true then
 */
export function speaksTls(
  host: string,
  port: number,
  timeout: number,
  signal?: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    destroyOnAbort(socket, signal);
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => socket.write(CLIENT_HELLO));
    socket.once('data', ([first]) => finish(isTlsAnswer(first)));
    socket.once('error', () => finish(true));
    socket.once('end', () => finish(true));
    socket.setTimeout(timeout, () => finish(true));
  });
}
