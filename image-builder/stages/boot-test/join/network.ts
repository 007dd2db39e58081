// How the machine and the control plane reach each other, though the machine reaches nothing else: QEMU's user network.

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** Where the machine finds the API server: in QEMU's network, behind the relay. */
export const API_SERVER_ADDRESS = '10.0.2.100';
export const API_SERVER_PORT = 6443;
/** The first address that QEMU's DHCP server gives. */
export const NODE_ADDRESS = '10.0.2.15';
/** Of the kubelet. */
export const KUBELET_PORT = 10250;

/** Ports of loopback on the building machine. */
export interface Ports {
  apiServer: number;
  etcd: number;
  etcdPeers: number;
  /** Leads to the kubelet of the machine. */
  kubelet: number;
}

/** Ports that nobody listens on. */
export async function freePorts(): Promise<Ports> {
  const servers = await Promise.all(Array.from({ length: 4 }, listening));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  const [apiServer = 0, etcd = 0, etcdPeers = 0, kubelet = 0] = ports;
  return { apiServer, etcd, etcdPeers, kubelet };
}

const listening = () =>
  new Promise<ReturnType<typeof createServer>>((done, fail) => {
    const server = createServer();
    server.once('error', fail).listen(0, '127.0.0.1', () => done(server));
  });

/**
 * Options of QEMU's user network (libslirp).
 * @param directory for the relay; it must exist
 */
export async function networkOptions(directory: string, ports: Ports): Promise<string[]> {
  return [
    `hostfwd=tcp:127.0.0.1:${ports.kubelet}-${NODE_ADDRESS}:${KUBELET_PORT}`,
    await forward(directory, `${API_SERVER_ADDRESS}:${API_SERVER_PORT}`, ports.apiServer),
  ];
}

/**
 * What has a machine find a port of loopback in its network. A character device would serve one connection only, so that a
 * program is started for each.
 * @param directory for the relay, whose 64 connections those of all forwards together are; it must exist
 * @param address where the machine finds it, with a port: `10.0.2.100:6443`
 */
export async function forward(directory: string, address: string, port: number): Promise<string> {
  const relay = join(directory, 'relay.py');
  await writeFile(relay, RELAY);
  // GLib takes the command apart, as a shell does.
  const command = `python3 -I -S '${relay.replaceAll("'", "'\\''")}' ${port}`;
  return `guestfwd=tcp:${address}-cmd:${command}`;
}

// A machine opens as many connections as it likes, and each is a process here.
const RELAY = `"""Carries one connection of the machine to a port of loopback: relay.py PORT. 64 at a time."""

import fcntl
import os
import socket
import sys
import threading

slots = (open("%s.%d" % (sys.argv[0], number), "w") for number in range(64))


def take(slot):
    try:
        fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


slot = next(filter(take, slots), None)
if slot is None:
    sys.exit("no more connections")
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])))


def send():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := server.recv(65536):
    while data:
        data = data[os.write(1, data) :]
`;
