// Contract v2 of the predecessor's builder container (VERSION=v2): blocks on standard input.
//
//     user_data:
//         #cloud-config
//         ...
//     network_config:
//         {"links": ...}
//     outputFileName: ephemeral.iso
//
// Each block is a whole file, indented by exactly four spaces. The whole is not YAML: the first line of user_data
// would be a comment there.

import { type Finding, InvalidInputError } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';
import { collect } from './collect.ts';
import { parseMapping, parseNetworkData } from './documents.ts';
import { type Cut, cutQcow } from './qcow.ts';
import { type CutRequest, DEFAULT_ISO_NAME, isFileName, setting } from './request.ts';

const BLOCKS = ['user_data', 'network_config', 'osconfig', 'qcow'] as const;
type BlockName = (typeof BLOCKS)[number];
const INDENTATION = '    ';
const INPUT = 'standard input';

/** A block with its indentation taken off, and the number of its first line in the input. */
export interface Block {
  text: string;
  firstLine: number;
}

/** What was found on standard input. */
export interface Blocks {
  blocks: Partial<Record<BlockName, Block>>;
  outputFileName?: string;
}

const error = (message: string, field?: string): Finding => ({
  severity: 'error',
  message,
  file: INPUT,
  ...(field === undefined ? {} : { field }),
});

/**
 * Splits standard input into its blocks. Blank lines stay, tabs stay, `key: |` is understood.
 * @throws InvalidInputError with every line that fits nowhere.
 */
export function splitBlocks(input: string): Blocks {
  const findings: Finding[] = [];
  const blocks: Partial<Record<BlockName, Block>> = {};
  let outputFileName: string | undefined;
  const lines = input.replace(/^\uFEFF/, '').split('\n');
  if (lines.at(-1) === '') lines.pop();
  if (lines.some((line) => /^kind:\s*["']?ResourceList\b/.test(line))) {
    throw new InvalidInputError([
      error('is a KRM ResourceList, which VERSION=v2 does not accept; unset VERSION to use contract v1'),
    ]);
  }

  let current: { name: BlockName; lines: string[]; firstLine: number; literal: boolean } | undefined;
  const close = () => {
    if (current) blocks[current.name] = { text: blockText(current), firstLine: current.firstLine };
    current = undefined;
  };

  lines.forEach((line, index) => {
    const number = index + 1;
    if (line.trim() === '' || line.startsWith(' ')) {
      if (current === undefined) {
        if (line.trim() !== '') findings.push(error(`line ${number}: indented, but not below a key`));
      } else if (line.startsWith(INDENTATION) || line.trim() === '' || current.literal) {
        current.lines.push(line);
      } else {
        const width = line.length - line.trimStart().length;
        findings.push(error(`line ${number}: indented by ${width}, expected 4 spaces`, current.name));
      }
      return;
    }
    const key = /^([A-Za-z_]+):(?:[ \t]+(.*?))?[ \t\r]*$/.exec(line);
    if (key === null) {
      // A line of a file that was not indented is the most likely mistake; its text may be secret.
      if (!/^(#|---|\.\.\.)/.test(line)) {
        findings.push(error(`line ${number}: neither a key nor indented by 4 spaces`, current?.name));
      }
      return;
    }
    close();
    const [, name = '', value = ''] = key;
    if (name === 'outputFileName') {
      if (outputFileName !== undefined) findings.push(error(`line ${number}: duplicate key`, name));
      outputFileName = unquote(value);
      return;
    }
    if (!(BLOCKS as readonly string[]).includes(name)) {
      findings.push(
        error(`line ${number}: unknown key, expected ${BLOCKS.join(', ')} or outputFileName`, name),
      );
      return;
    }
    if (blocks[name as BlockName]) findings.push(error(`line ${number}: duplicate key`, name));
    const literal = /^[|>][-+]?$/.test(value);
    current = { name: name as BlockName, lines: [], firstLine: number + 1, literal };
    if (value !== '' && !literal) {
      current.lines.push(INDENTATION + value);
      current.firstLine = number;
    }
  });
  close();
  if (findings.length > 0) throw new InvalidInputError(findings);
  return { blocks, ...(outputFileName === undefined ? {} : { outputFileName }) };
}

/** Takes the indentation off: four spaces, or with `key: |` whatever the first line has (YAML 1.2.2, 8.1.1.1). */
function blockText(block: { lines: string[]; literal: boolean }): string {
  const first = block.lines.find((line) => line.trim() !== '') ?? '';
  const width = block.literal ? first.length - first.trimStart().length : INDENTATION.length;
  const text = block.lines
    .map((line) => (line.trim() === '' ? line.slice(width) : stripIndent(line, width)))
    .join('\n');
  // The shell that made the input dropped the newlines at the end of each file and added one.
  const end = text.replace(/\n+$/, '');
  return end === '' ? '' : `${end}\n`;
}

function stripIndent(line: string, width: number): string {
  const indentation = line.length - line.trimStart().length;
  return line.slice(Math.min(width, indentation));
}

function unquote(value: string): string {
  return /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
}

/** Everything that contract v2 depends on, read by the caller. */
export interface ContractV2Inputs {
  environment: Env;
  /** Standard input, whole. */
  input: string;
  /** Directories below `/` that something is mounted on, without proc, sys and dev; see `mounts.ts`. */
  rootMounts: readonly string[];
}

/**
 * Reads contract v2.
 * @throws InvalidInputError with everything that is missing or wrong.
 */
export function parseContractV2({ environment, input, rootMounts }: ContractV2Inputs): CutRequest {
  const findings: Finding[] = [];
  const imageType = setting(environment, 'IMAGE_TYPE') ?? 'iso';
  if (imageType !== 'iso' && imageType !== 'qcow') {
    findings.push({
      severity: 'error',
      field: 'IMAGE_TYPE',
      message: `is ${JSON.stringify(imageType)}, expected iso or qcow`,
    });
  }
  const volume = rootMounts.includes('/config') ? '/config' : rootMounts.at(-1);
  if (volume === undefined) {
    findings.push({
      severity: 'error',
      message:
        'no directory is mounted for the results; start the container with --volume <directory>:/config',
    });
  }
  const parsed = collect(findings, () => splitBlocks(input));
  if (parsed === undefined || volume === undefined || findings.length > 0)
    throw new InvalidInputError(findings);

  const { blocks, outputFileName } = parsed;
  if (outputFileName !== undefined && !isFileName(outputFileName)) {
    findings.push(
      error(`is ${JSON.stringify(outputFileName)}, expected a file name, not a path`, 'outputFileName'),
    );
  }
  const cut =
    imageType === 'iso' ? isoOf(blocks, outputFileName, findings) : qcowOf(blocks, outputFileName, findings);
  if (findings.length > 0) throw new InvalidInputError(findings);
  const builderImage = setting(environment, 'IMAGE');
  return {
    contract: 'v2',
    ...cut,
    volume,
    checksumFile: true,
    ...(builderImage === undefined ? {} : { builderImage }),
  };
}

function isoOf(blocks: Blocks['blocks'], outputFileName: string | undefined, findings: Finding[]): Cut {
  const imageName = outputFileName ?? DEFAULT_ISO_NAME;
  for (const name of ['user_data', 'network_config'] as const) {
    if (!blocks[name]?.text) findings.push(error('is missing or empty; an ISO needs it', name));
  }
  const networkConfig = blocks.network_config;
  const networkData = networkConfig?.text
    ? collect(findings, () =>
        parseNetworkData(networkConfig.text, {
          field: 'network_config',
          file: INPUT,
          firstLine: networkConfig.firstLine,
        }),
      )
    : undefined;
  return {
    imageType: 'iso',
    imageName,
    build: {
      iso: {
        userData: blocks.user_data?.text ?? '',
        networkData: networkData ?? {},
        outputFileName: imageName,
      },
    },
  };
}

function qcowOf(blocks: Blocks['blocks'], outputFileName: string | undefined, findings: Finding[]): Cut {
  const variables = (name: 'osconfig' | 'qcow') => {
    const block = blocks[name];
    return block
      ? collect(findings, () =>
          parseMapping(block.text, { field: name, file: INPUT, firstLine: block.firstLine }),
        )
      : undefined;
  };
  return cutQcow({ osconfig: variables('osconfig'), qcow: variables('qcow'), outputFileName, findings });
}
