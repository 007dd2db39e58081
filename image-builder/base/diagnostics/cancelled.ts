// What an AbortSignal has ended, as one kind of error, wherever it was noticed: in a request, a tool, a lock, a copy.
import { ImageBuilderError } from './error.ts';

/** The caller's AbortSignal fired, without an error of ours for a reason; the reason is the cause. */
export class CancelledError extends ImageBuilderError<'CANCELLED'> {}

/**
 * The error for whatever a signal has ended: its reason when that is an error of ours (a deadline, an interruption, the
 * failure of something else that was needed), otherwise a CancelledError. Node's own AbortError tells neither.
 */
export function cancelled({ reason }: AbortSignal): ImageBuilderError {
  if (reason instanceof ImageBuilderError) return reason;
  return new CancelledError('CANCELLED', 'cancelled', { cause: reason });
}

/** Throws {@link cancelled} when the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}
