// Contract v1 of the predecessor's builder container: what `airshipctl phase run` uses. A configuration file names the
// files of a mounted volume; standard input (a KRM ResourceList) is ignored.

import { join } from 'node:path/posix';
import { type Finding, InvalidInputError, invalidInput } from '../base/diagnostics/error.ts';
import type { Env } from '../base/env.ts';
import { collect } from './collect.ts';
import { kindOf, parseMapping, parseNetworkData } from './documents.ts';
import { type Cut, cutQcow } from './qcow.ts';
import { type CutRequest, DEFAULT_ISO_NAME, isFileName, setting } from './request.ts';
import { parseVolume } from './volume.ts';

/** Everything that contract v1 depends on. */
export interface ContractV1Inputs {
  environment: Env;
  /** Text of a file; undefined when there is none. */
  readText: (path: string) => Promise<string | undefined>;
}

const DEFAULT_METADATA_NAME = 'output-metadata.yaml';

/** Fields of `builder` in the configuration, and the variables that win over them. */
const FILES = {
  userData: { variable: 'USER_DATA_FILE', key: 'userDataFileName' },
  networkConfig: { variable: 'NET_CONFIG_FILE', key: 'networkConfigFileName' },
  osconfig: { variable: 'OSCONFIG_FILE', key: 'osconfigVarsFileName' },
  qcow: { variable: 'QCOW_CONFIG_FILE', key: 'qcowVarsFileName' },
} as const;

/**
 * Reads contract v1. `OUTPUT_FILE_NAME` is ignored on purpose: airshipctl passes a misspelt one, and then fetches the
 * file that `builder.outputFileName` names.
 * @throws InvalidInputError with everything that is missing or wrong.
 */
export async function parseContractV1({ environment, readText }: ContractV1Inputs): Promise<CutRequest> {
  const configPath = setting(environment, 'BUILDER_CONFIG');
  if (configPath === undefined) {
    throw invalidInput(
      'BUILDER_CONFIG',
      'is not set; it names the builder configuration (contract v1). For blocks on standard input, set VERSION=v2',
    );
  }
  const text = await readText(configPath);
  if (text === undefined) {
    throw invalidInput(
      'BUILDER_CONFIG',
      `${configPath} does not exist in the container; is its directory mounted?`,
    );
  }
  const config = parseMapping(text, { field: 'BUILDER_CONFIG', file: configPath });
  const findings: Finding[] = [];
  const builder = section(config, 'builder', configPath, findings);
  const volume = parseVolume(section(config, 'container', configPath, findings).volume, findings, configPath);
  const fromBuilder = (key: string) => textOf(builder[key], `builder.${key}`, configPath, findings);

  const imageType = setting(environment, 'IMAGE_TYPE') ?? fromBuilder('imageType') ?? 'iso';
  if (imageType !== 'iso' && imageType !== 'qcow') {
    findings.push(
      problem(
        'builder.imageType',
        configPath,
        `is ${JSON.stringify(imageType)}, expected iso or qcow (or IMAGE_TYPE)`,
      ),
    );
  }
  const outputFileName = fileName(
    fromBuilder('outputFileName'),
    'builder.outputFileName',
    configPath,
    findings,
  );
  const metadataFileName =
    fileName(
      setting(environment, 'OUTPUT_METADATA_FILE_NAME') ?? fromBuilder('outputMetadataFileName'),
      'builder.outputMetadataFileName',
      configPath,
      findings,
    ) ?? DEFAULT_METADATA_NAME;
  if (volume === undefined) throw new InvalidInputError(findings);

  /** Text of one of the input files, or undefined when nothing names it. */
  const inputFile = async (file: (typeof FILES)[keyof typeof FILES]) => {
    const name = setting(environment, file.variable) ?? fromBuilder(file.key);
    if (name === undefined) return undefined;
    const field = setting(environment, file.variable) === undefined ? `builder.${file.key}` : file.variable;
    const path = join(volume.container, name);
    if (!path.startsWith(`${volume.container.replace(/\/$/, '')}/`)) {
      findings.push(
        problem(field, configPath, `${JSON.stringify(name)} is outside the volume ${volume.container}`),
      );
      return undefined;
    }
    const content = await readText(path);
    if (content === undefined)
      findings.push(problem(field, configPath, `${path} does not exist in the container`));
    return content === undefined ? undefined : { content, path, field };
  };

  const cut =
    imageType === 'qcow'
      ? await qcowOf(inputFile, outputFileName, findings)
      : await isoOf(inputFile, outputFileName, configPath, findings);
  if (findings.length > 0) throw new InvalidInputError(findings);
  const builderImage = setting(environment, 'IMAGE');
  return {
    contract: 'v1',
    ...cut,
    volume: volume.container,
    metadata: { fileName: metadataFileName, hostDirectory: volume.host },
    checksumFile: false,
    ...(builderImage === undefined ? {} : { builderImage }),
  };
}

type InputFile = (
  file: (typeof FILES)[keyof typeof FILES],
) => Promise<{ content: string; path: string; field: string } | undefined>;

async function isoOf(
  inputFile: InputFile,
  outputFileName: string | undefined,
  configPath: string,
  findings: Finding[],
): Promise<Cut> {
  const complaints = findings.length;
  const userData = await inputFile(FILES.userData);
  const networkConfig = await inputFile(FILES.networkConfig);
  // A file that is named and missing has been reported already.
  if (findings.length === complaints) {
    for (const [file, content] of [
      [FILES.userData, userData],
      [FILES.networkConfig, networkConfig],
    ] as const) {
      if (!content?.content.trim()) {
        const what = content === undefined ? 'is missing' : `${content.path} is empty`;
        findings.push(
          problem(`builder.${file.key}`, configPath, `${what}; an ISO needs it (or ${file.variable})`),
        );
      }
    }
  }
  const networkData = networkConfig?.content.trim()
    ? collect(findings, () =>
        parseNetworkData(networkConfig.content, { field: networkConfig.field, file: networkConfig.path }),
      )
    : undefined;
  const imageName = outputFileName ?? DEFAULT_ISO_NAME;
  return {
    imageType: 'iso',
    imageName,
    build: {
      iso: { userData: userData?.content ?? '', networkData: networkData ?? {}, outputFileName: imageName },
    },
  };
}

async function qcowOf(
  inputFile: InputFile,
  outputFileName: string | undefined,
  findings: Finding[],
): Promise<Cut> {
  const variables = async (file: (typeof FILES)[keyof typeof FILES]) => {
    const read = await inputFile(file);
    return (
      read && collect(findings, () => parseMapping(read.content, { field: read.field, file: read.path }))
    );
  };
  return cutQcow({
    osconfig: await variables(FILES.osconfig),
    qcow: await variables(FILES.qcow),
    outputFileName,
    findings,
  });
}

const problem = (field: string, file: string, message: string): Finding => ({
  severity: 'error',
  field,
  file,
  message,
});

function section(
  config: Record<string, unknown>,
  name: string,
  file: string,
  findings: Finding[],
): Record<string, unknown> {
  const value = config[name] ?? {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  findings.push(problem(name, file, `is ${kindOf(value)}, expected a mapping`));
  return {};
}

function textOf(value: unknown, field: string, file: string, findings: Finding[]): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value === 'string') return value;
  findings.push(problem(field, file, `is ${kindOf(value)}, expected text`));
  return undefined;
}

function fileName(
  name: string | undefined,
  field: string,
  file: string,
  findings: Finding[],
): string | undefined {
  if (name === undefined || isFileName(name)) return name;
  findings.push(problem(field, file, `is ${JSON.stringify(name)}, expected a file name, not a path`));
  return undefined;
}
