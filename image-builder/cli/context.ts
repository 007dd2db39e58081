// What commands share: the signals of the process, and how progress is shown.
import type { Command } from 'commander';
import type { Finding } from '../base/diagnostics/error.ts';
import { type Interrupt, listenForInterrupt } from '../base/diagnostics/interrupt.ts';
import type { Reporter } from '../base/diagnostics/progress.ts';
import { jsonReporter, plainReporter } from '../base/diagnostics/render.ts';
import { mayBeTerminal, writeLine } from '../base/diagnostics/standard-streams.ts';
import { LiveDisplay } from './live-display.ts';

/** What a long-running command hands to the engine. */
export interface CommandContext {
  /** Aborts at SIGINT, SIGTERM and SIGHUP. */
  signal: AbortSignal;
  /** Shows progress on standard error, as the global options say. */
  report: Reporter;
}

/** The global options. */
export interface GlobalOptions {
  logFormat: 'auto' | 'plain' | 'json';
  verbose?: boolean;
}

/** Adds to a finding what is known of its source. */
export type Explainer = (finding: Finding) => Finding;

let explainer: Explainer = (finding) => finding;
let interrupt: Interrupt | undefined;
let display: LiveDisplay | undefined;

/** The context of a command's action; call it once, when the long-running part begins. */
export function contextOf(command: Command): CommandContext {
  interrupt ??= listenForInterrupt();
  return { signal: interrupt.signal, report: reporterOf(command.optsWithGlobals<GlobalOptions>()) };
}

function reporterOf({ logFormat, verbose = false }: GlobalOptions): Reporter {
  if (logFormat === 'json') return jsonReporter(writeLine);
  const isLive =
    logFormat === 'auto' && process.env.TERM !== 'dumb' && mayBeTerminal(2) && process.stderr.isTTY;
  if (!isLive) return plainReporter(writeLine, { verbose });
  display = new LiveDisplay(process.stderr, { verbose });
  return (event) => display?.show(event);
}

/** Says how findings are explained from now on: a command has read the file that they are about. */
export function explainBy(explain: Explainer): void {
  explainer = explain;
}

/** A finding as the command's file explains it. */
export function explained(finding: Finding): Finding {
  return explainer(finding);
}

/** Ends the display; returns what interrupted the commands, if anything did. */
export function endContext(): AbortSignal | undefined {
  display?.close();
  interrupt?.dispose();
  return interrupt?.signal;
}
