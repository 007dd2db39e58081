// A TCP relay that counts bytes, and can be as far away and as narrow as a real link.
import { connect, createServer } from 'node:net';
import { listen } from './bundles.mjs';

/**
 * Passes connections on.
 * @param address where the registry listens, and the relay too
 * @param count `{ bytes }`: what was sent to clients, handshakes and headers included
 * @param link `{ rtt, mbit }`: milliseconds there and back, megabits per second towards the client; undefined: as it is.
 * A handshake of TCP takes a relay no time, so that of the link is added to the first bytes of each connection.
 */
export async function startRelay(address, port, count, link) {
  const sockets = new Set();
  // All connections share the link: when it will have sent what it was given so far.
  let freeAt = 0;
  const pass = (from, to, delay, isNarrow) => {
    // What is under way, in order; timers of different lengths do not keep it.
    const queue = [];
    const deliver = () => {
      while (queue.length > 0 && queue[0].arrival <= performance.now()) {
        const { chunk } = queue.shift();
        if (chunk === undefined) to.end();
        else if (to.writable) to.write(chunk);
      }
      if (queue.length > 0) setTimeout(deliver, Math.max(1, queue[0].arrival - performance.now()));
    };
    const send = (chunk) => {
      const now = performance.now();
      if (isNarrow) {
        freeAt = Math.max(now, freeAt) + ((chunk?.length ?? 0) * 8) / (link.mbit * 1000);
        // No more under way than a link holds: whoever hangs up early has not received the rest.
        if (freeAt - now > link.rtt) {
          from.pause();
          setTimeout(() => from.resume(), freeAt - now - link.rtt);
        }
      }
      queue.push({ chunk, arrival: (isNarrow ? freeAt : now) + delay() });
      if (queue.length === 1) setTimeout(deliver, queue[0].arrival - now);
    };
    from.on('data', send);
    from.on('end', () => send(undefined));
  };
  const server = createServer((client) => {
    const upstream = connect(port, address);
    upstream.on('data', (chunk) => {
      count.bytes += chunk.length;
    });
    if (link) {
      const connectedAt = performance.now() + link.rtt;
      const half = () => link.rtt / 2;
      pass(client, upstream, () => half() + Math.max(0, connectedAt - performance.now()), false);
      pass(upstream, client, half, true);
    } else client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
    }
    client.on('close', () => upstream.destroy());
    upstream.on('close', (failed) => (failed || !link) && client.destroy());
  });
  return {
    port: await listen(server, address),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
