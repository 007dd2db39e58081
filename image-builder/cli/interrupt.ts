// Ctrl-C as an AbortSignal: the first one lets the engine clean up, the second one ends the process.

/** A signal that fires on SIGINT and SIGTERM. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => controller.abort(new Error(name)));
  return controller.signal;
}
