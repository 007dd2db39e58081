// What a program in a Pod leaves behind: JSON in the termination message of its container.
import type { V1Pod } from '@kubernetes/client-node';
import type { Finding } from '../../base/diagnostics/error.ts';
import { isRecord } from '../../base/record.ts';
import { containerStatuses } from '../../cluster/pod-state.ts';
import { ContainedError } from '../../engines/run-container.ts';
import type { Builder } from './protocol.ts';

/**
 * The error that a program has ended with; undefined when it has not said.
 * @param log how to see all that it has printed
 */
export function findingsIn(words: string | undefined, log: string): ContainedError | undefined {
  const said = parsed(words);
  if (!isRecord(said) || !Array.isArray(said.findings) || said.findings.length === 0) return undefined;
  const findings = said.findings.filter(isFinding);
  return new ContainedError(
    findings.map((finding) => ({ ...finding, message: `${finding.message}\nlog: ${log}` })),
  );
}

/** What the program has told of its image. */
export function builderIn(pod: V1Pod): Builder | undefined {
  for (const { state } of containerStatuses(pod)) {
    const said = parsed(state?.terminated?.message);
    if (isRecord(said) && typeof said.version === 'string' && isTexts(said.code) && isTexts(said.tools))
      return { version: said.version, code: said.code, tools: said.tools };
  }
  return undefined;
}

function parsed(words: string | undefined): unknown {
  try {
    return JSON.parse(words ?? '');
  } catch {
    return undefined;
  }
}

function isFinding(value: unknown): value is Finding {
  return isRecord(value) && typeof value.message === 'string' && typeof value.severity === 'string';
}

function isTexts(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((one) => typeof one === 'string');
}
