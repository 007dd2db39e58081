// What the executor needs of a container engine. Two things provide it: the engine's command line (cli-engine.ts), and
// Docker's HTTP interface where there is no command line, as in the function's own container (api-engine.ts).
import type { Readable, Writable } from 'node:stream';

/** Engines with Docker's command line, in the order in which they are tried. */
export const ENGINES = ['docker', 'podman', 'nerdctl'] as const;
export type EngineName = (typeof ENGINES)[number];

/** A directory of this machine, or a volume of the engine, in the container. */
export interface ContainerMount {
  type: 'bind' | 'volume';
  source: string;
  target: string;
  readOnly?: boolean;
}

/** A container: what runs in it, and with what. Its capabilities are always the engine's default ones. */
export interface ContainerConfig {
  image: string;
  argv: readonly string[];
  mounts: readonly ContainerMount[];
  /** Network of the engine; `none` where nothing is fetched; undefined for the engine's own. */
  network: string | undefined;
  environment: Readonly<Record<string, string>>;
}

/** The standard streams of a container. */
export interface ContainerStreams {
  /** Stays open until the container ends: its end tells the program that its caller is gone. */
  stdin?: string;
  /** Receives standard output instead of {@link EngineResult.stdout}; its owner ends it. */
  stdout?: Writable;
  /** Receives each line of standard error. */
  onLine?: (line: string) => void;
}

/** How a command of the engine, or a container, ended. */
export interface EngineResult {
  /** Exit status; 125 when the engine could not start the container, 127 when an executable is missing. */
  status: number;
  stdout: string;
  /** The last lines of standard error. */
  lastLines: string[];
}

/** An engine that answers. */
export interface ContainerEngine {
  readonly name: EngineName;
  /** Whether it sees other directories than this process, so that none can be mounted: see remote.ts. */
  readonly remote: boolean;
  /** Whether root in its containers is the user who runs the engine. */
  readonly rootless: boolean;
  /** The digests (`repository@sha256:...`) by which an image is known; undefined when the engine does not have it. */
  imageDigests(reference: string): Promise<string[] | undefined>;
  /** Fetches an image; `onLine` is told how far it is. */
  pull(reference: string, onLine: (line: string) => void): Promise<EngineResult>;
  /** Runs a container to its end; the engine removes it then, also when this process is gone. */
  run(name: string, config: ContainerConfig, streams: ContainerStreams): Promise<EngineResult>;
  /** Stops a container, with so many seconds to clean up; nothing happens when there is none of that name. */
  stop(name: string, seconds: number): Promise<void>;
  /** Removes a container, whatever it does. */
  remove(name: string): Promise<void>;
}

/** Standard output as text. */
export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
