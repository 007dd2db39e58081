// The architectures of machines.

/** As Debian calls them. */
export type Architecture = 'amd64' | 'arm64';
