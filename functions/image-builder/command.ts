// The function as a process: its arguments, and which part of the code answers.
import { findingsOf, formatFinding } from '../../image-builder/base/diagnostics/error.ts';
import {
  fail,
  isTerminal,
  readStandardInput,
  writeOut,
} from '../../image-builder/base/diagnostics/standard-streams.ts';
import { toTheEnd } from '../../image-builder/base/diagnostics/to-the-end.ts';
import { answer } from './answer.ts';
import { handleConfigMap } from './handlers/config-map.ts';
import { asksForProfile, type Handlers, readQuestion, runOnQuestion } from './run.ts';

/** Kinds that are answered without the engine, so that the cold start does not pay for it. */
const LIGHT_HANDLERS: Handlers = { ConfigMap: async () => handleConfigMap };

/** Runs the function with the arguments of its process; never throws, the outcome is in `process.exitCode`. */
export async function runFunction(args: string[]): Promise<void> {
  try {
    await toTheEnd(() => dispatch(args));
  } catch (error) {
    fail(findingsOf(error).map(formatFinding));
  }
}

async function dispatch(args: string[]): Promise<void> {
  const option = args.find((arg) => arg.startsWith('-') && arg !== '-');
  if (option === '--help' || option === '-h') return writeOut((await import('./help.ts')).help());
  if (option === '--version')
    return writeOut(`${(await import('../../image-builder/embedded/release.ts')).version}\n`);
  if (option !== undefined || args.length > 2) {
    return fail(['usage: image-builder-fn [CONFIG.yaml [INPUT.yaml|-]] < RESOURCE_LIST; see --help'], 2);
  }
  const [configPath, inputPath] = args;
  // The program that a render leaves in the background is this one, or the command line: both know the word.
  if (configPath === 'run-triggered') return (await import('./engine-command.ts')).buildInBackground();
  if (configPath !== undefined) {
    const input = inputPath === '-' ? await readStandardInput() : undefined;
    const { answerStandalone } = await import('./engine-command.ts');
    return answerStandalone({ configPath, inputPath, input });
  }
  if (await isTerminal())
    return fail(['error: standard input is a terminal, expected a ResourceList; see --help']);
  return answerResourceList(await readStandardInput());
}

async function answerResourceList(text: string): Promise<void> {
  const question = readQuestion(text);
  const { config, findings } = question;
  const isLight =
    findings !== undefined ||
    (config && (Object.hasOwn(LIGHT_HANDLERS, config.kind) || asksForProfile(config)));
  const handlers = isLight ? LIGHT_HANDLERS : (await import('./engine-command.ts')).HANDLERS;
  return answer((context) => runOnQuestion(question, context, handlers));
}
