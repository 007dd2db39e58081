// Finds the kustomizations of a directory tree and the functionConfigs that they name; reads what one has rendered.
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { readStandardInput } from '../base/diagnostics/standard-streams.ts';
import { type DoctorFinding, finding } from './finding.ts';
import { type ConfiguredFunction, FUNCTION_LISTS, type Kustomization } from './kustomization.ts';

const NAMES = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'];
/** Lists that name further kustomizations or files. */
const RESOURCE_LISTS = ['resources', 'components', 'bases'];

/** What was found. */
export interface ReadKustomizations {
  kustomizations: Kustomization[];
  /** Files that cannot be read or parsed. */
  findings: DoctorFinding[];
}

/** Reads the kustomization of a directory and all local ones that it names, each once; remote ones are left alone. */
export async function readKustomizations(path: string): Promise<ReadKustomizations> {
  const result: ReadKustomizations = { kustomizations: [], findings: [] };
  const seen = new Set<string>();
  const visit = async (directory: string): Promise<void> => {
    if (seen.has(directory)) return;
    seen.add(directory);
    const file = await kustomizationFile(directory);
    if (file === undefined) return;
    const [content] = await readObjects(file, result.findings);
    if (content === undefined) return;
    const kustomization: Kustomization = { file, content, functions: [] };
    result.kustomizations.push(kustomization);
    for (const list of FUNCTION_LISTS) {
      for (const [index, entry] of entries(content[list]).entries()) {
        const directoryEntry = await localDirectory(directory, entry);
        if (directoryEntry !== undefined) await visit(directoryEntry);
        else
          kustomization.functions.push(
            ...(await readFunctions(list, index, entry, kustomization, result.findings)),
          );
      }
    }
    for (const list of RESOURCE_LISTS) {
      for (const entry of entries(content[list])) {
        const directoryEntry = await localDirectory(directory, entry);
        if (directoryEntry !== undefined) await visit(directoryEntry);
      }
    }
  };
  const start = resolve(path);
  const isFile = await stat(start).then(
    (stats) => stats.isFile(),
    () => false,
  );
  await visit(isFile ? dirname(start) : start);
  if (result.kustomizations.length === 0 && result.findings.length === 0) {
    result.findings.push(
      finding('info', 'KUSTOMIZATION_MISSING', 'there is no kustomization', { file: start }),
    );
  }
  return result;
}

/**
 * The objects of a file that is no kustomization, such as the output of `kustomize build`; `-` is standard input.
 * Undefined for directories and kustomizations.
 */
export async function readRendered(
  path: string,
): Promise<{ objects: Record<string, unknown>[]; findings: DoctorFinding[] } | undefined> {
  const findings: DoctorFinding[] = [];
  if (path === '-') return { objects: parseObjects(await readStandardInput(), path, findings), findings };
  const isFile = await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  );
  if (!isFile || NAMES.includes(basename(path))) return undefined;
  return { objects: await readObjects(path, findings), findings };
}

async function readFunctions(
  list: ConfiguredFunction['list'],
  index: number,
  entry: string,
  { file }: Kustomization,
  findings: DoctorFinding[],
): Promise<ConfiguredFunction[]> {
  // kustomize takes the object itself in place of its file.
  if (/\n|^\s*[{a-zA-Z]+\s*:\s/.test(entry)) {
    return parseObjects(entry, file, findings).map((object) => ({ list, index, file, object }));
  }
  if (/^[a-z]+:\/\//.test(entry)) return [];
  const path = join(dirname(file), entry);
  const objects = await readObjects(path, findings);
  return objects.map((object) => ({ list, index, file: path, object }));
}

const entries = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : [];

async function kustomizationFile(directory: string): Promise<string | undefined> {
  for (const name of NAMES) {
    const path = join(directory, name);
    if (
      await stat(path).then(
        (stats) => stats.isFile(),
        () => false,
      )
    )
      return path;
  }
  return undefined;
}

async function localDirectory(from: string, entry: string): Promise<string | undefined> {
  if (entry.includes('\n')) return undefined;
  const path = resolve(from, entry);
  return (await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  ))
    ? path
    : undefined;
}

async function readObjects(file: string, findings: DoctorFinding[]): Promise<Record<string, unknown>[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    findings.push(
      finding('error', 'FILE_UNREADABLE', `cannot be read: ${(error as Error).message}`, { file }),
    );
    return [];
  }
  return parseObjects(text, file, findings);
}

function parseObjects(text: string, file: string, findings: DoctorFinding[]): Record<string, unknown>[] {
  return parseAllDocuments(text).flatMap((document) => {
    const [error] = document.errors;
    if (error) {
      findings.push(
        finding('error', 'INVALID_YAML', `is not valid YAML: ${error.message.split('\n')[0]}`, { file }),
      );
      return [];
    }
    const value: unknown = document.toJS();
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? [value as Record<string, unknown>]
      : [];
  });
}
