// Limits how many things run at the same time.

/** A number of slots; who finds none free waits in line. */
export interface Slots {
  run<T>(work: () => Promise<T>): Promise<T>;
}

/** @param count at least 1 */
export function createSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  return {
    run: async (work) => {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await work();
      } finally {
        const next = waiting.shift();
        if (next) next();
        else free += 1;
      }
    },
  };
}
