// What every kind of functionConfig is handled by.
import type { YAMLMap } from 'yaml';
import type { Finding } from '../../image-builder/base/diagnostics/error.ts';
import type { Reporter } from '../../image-builder/base/diagnostics/progress.ts';
import type { FunctionConfig } from './resource-list.ts';

/** What a run of the function depends on besides its input. */
export interface FunctionContext {
  /** Directory that relative paths of the functionConfig start from. */
  cwd: string;
  /** The directory `/profiles` of the bundle image that the function runs in. */
  profilesDirectory: string;
  report: Reporter;
  signal: AbortSignal;
  /** The items of the ResourceList as plain values; read on demand, since most kinds need none. */
  readItems: () => Record<string, unknown>[];
}

/** What a handler answers. */
export interface FunctionResult {
  /** Objects that go into the list; each replaces the item of the same identity. */
  objects: YAMLMap[];
  /** Warnings and information; errors are thrown. */
  findings: Finding[];
}

/** Handles one kind of functionConfig. */
export type Handler = (config: FunctionConfig, context: FunctionContext) => Promise<FunctionResult>;
