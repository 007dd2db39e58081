// Whether a machine still does something: an emulated one on a busy host is slow, which is not the fault of its image.
import { availableParallelism, loadavg } from 'node:os';
import type { Monitor } from './monitor.ts';

/** When a machine has last printed something, and used its disks. Seconds are wall time. */
export class Activity {
  #printed: number | undefined;
  #usedDisks: number | undefined;
  #operations = 0;

  /** The console has shown something. */
  notePrinted(): void {
    this.#printed = performance.now();
  }

  /** Seconds since something was printed; undefined: nothing ever was. */
  get silence(): number | undefined {
    return secondsSince(this.#printed);
  }

  /** Asks whether disks have been used since it was asked last. */
  async look(monitor: Monitor): Promise<void> {
    const operations = (await monitor.diskOperations()) ?? this.#operations;
    if (operations > this.#operations) this.#usedDisks = performance.now();
    this.#operations = operations;
  }

  /**
   * What to do about a machine that did not get there in time.
   * @param patience how long it may do nothing and still be on its way, in seconds
   */
  advise(patience: number): string {
    const disks = secondsSince(this.#usedDisks);
    if (this.silence === undefined && disks === undefined)
      return 'The machine neither printed anything nor used its disks; is this a bootable image?';
    const signs = [
      this.silence !== undefined && `it last printed something ${said(this.silence)} before the end`,
      disks !== undefined && `it last used its disks ${said(disks)} before the end`,
    ].filter(Boolean);
    const silent =
      this.silence === undefined
        ? ' Without console=ttyS0 on its kernel command line, an image prints nothing.'
        : '';
    const active = Math.min(this.silence ?? Infinity, disks ?? Infinity) <= patience;
    const load = `${loadavg()[0]?.toFixed(0)} processes competed for this host's processors`;
    return active
      ? `The machine was still working (${signs.join(', ')}; ${load}): allow more time.${silent}`
      : `The machine was idle (${signs.join(', ')}).${silent}`;
  }
}

/**
 * What to do about units of systemd for which the time was up, such as devices after 90 seconds; undefined when none was, or
 * the host had processors to spare.
 */
export function adviseOnLateUnits(
  failures: readonly string[],
  load = loadavg()[0] ?? 0,
  processors = availableParallelism(),
): string | undefined {
  if (load <= processors || !failures.some((failure) => /^Timed out/.test(failure))) return undefined;
  return `The image may be sound: ${load.toFixed(0)} processes wanted the ${processors} processors of this host, and systemd gives up on what is late. Try again when it has less to do.`;
}

const secondsSince = (time: number | undefined) =>
  time === undefined ? undefined : (performance.now() - time) / 1000;
const said = (seconds: number) => `${Math.round(seconds)} s`;
