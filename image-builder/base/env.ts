// The environment of a process.

/** Environment variables by name. Passed on rather than read from the process, so that callers and tests choose. */
export type Env = Readonly<Record<string, string | undefined>>;
