// Gets a finished bundle from an engine that sees other directories than this process.
import { PassThrough } from 'node:stream';
import { throwIfCancelled } from '../../base/diagnostics/cancelled.ts';
import { layoutHasDigest, receiveLayout } from '../../bundle/write/receive-layout.ts';
import type { ContainerConfig, ContainerEngine } from '../../engines/engine.ts';
import { failed, runToEnd } from '../../engines/run-container.ts';

/**
 * Puts the bundle into the layout in `directory`, unless it is there.
 * @param sender a container that prints the tar of a layout
 * @throws ContainerError, BundleWriteError, LayoutError
 */
export async function fetchBundle(
  engine: ContainerEngine,
  sender: ContainerConfig,
  { directory, tag, digest }: { directory: string; tag: string; digest: string },
  signal: AbortSignal,
): Promise<void> {
  if (await layoutHasDigest(directory, tag, digest)) return;
  const stream = new PassThrough();
  // A receiver that gives up stops the sender.
  const broken = new AbortController();
  const received = receiveLayout(stream, directory, { tag, digest }, signal).catch((error: unknown) => {
    broken.abort();
    stream.destroy();
    throw error;
  });
  const sent = runToEnd(engine, sender, { stdout: stream }, AbortSignal.any([signal, broken.signal])).finally(
    () => stream.end(),
  );
  const [reception, transmission] = await Promise.allSettled([received, sent]);
  throwIfCancelled(signal);
  // A sender that failed explains why too little arrived.
  if (transmission.status === 'fulfilled' && transmission.value.status !== 0) {
    throw failed(engine, transmission.value);
  }
  if (reception.status === 'rejected') throw reception.reason;
  if (transmission.status === 'rejected') throw transmission.reason;
}
