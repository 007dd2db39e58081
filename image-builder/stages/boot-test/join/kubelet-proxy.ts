// How the API server reaches the kubelet, for logs and exec: the node's own address is known in the machine's network only. An
// egress selector sends such connections to a proxy on a socket
// (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-konnectivity/), which knows this one way.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { KUBELET_PORT, NODE_ADDRESS } from './network.ts';

/** Longest request line and headers of a CONNECT that is read, in bytes. */
const LONGEST_HEAD = 8192;

/**
 * Listens for HTTP CONNECT to the kubelet.
 * @param file the socket
 * @param port of loopback that leads to the kubelet
 */
export function serveKubelet(file: string, port: number): Promise<Server> {
  const server = createServer((client) => {
    client.on('error', () => client.destroy());
    let head = '';
    const read = (data: Buffer) => {
      head += data.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length < LONGEST_HEAD) return;
      client.off('data', read).pause();
      if (end >= 0 && head.startsWith(`CONNECT ${NODE_ADDRESS}:${KUBELET_PORT} `))
        carry(client, port, Buffer.from(head.slice(end + 4), 'latin1'));
      else client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    };
    client.on('data', read);
  });
  return new Promise((done, fail) => {
    server.once('error', fail).listen(file, () => done(server));
  });
}

function carry(client: Socket, port: number, first: Buffer): void {
  const kubelet = connect(port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    kubelet.write(first);
    client.pipe(kubelet);
    kubelet.pipe(client);
  });
  kubelet.on('error', () => client.destroy());
  client.on('close', () => kubelet.destroy());
}
