// `image-builder inspect REF`: what a bundle is, and what reading it costs.

import { type Command, Option } from 'commander';
import { printable } from '../../base/diagnostics/printable.ts';
import { formatBytes } from '../../base/diagnostics/render.ts';
import { writeOut } from '../../base/diagnostics/standard-streams.ts';
import type { BundleDescription } from '../../bundle/read/inspect.ts';
import { printedValue } from '../printed-value.ts';
import {
  addRegistryOptions,
  addTimeoutOption,
  engineOptions,
  type RegistryFlags,
} from '../registry-options.ts';

interface InspectFlags extends RegistryFlags {
  output: 'text' | 'json' | 'yaml';
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('inspect')
    .description(
      'describe a bundle: profiles, images with sizes and checksums, labels, layers, cost of a read',
    )
    .argument(
      '<reference>',
      'registry reference, oci:DIR, oci-archive:FILE, docker-archive:FILE or docker-daemon:NAME',
    )
    .addOption(
      new Option('-o, --output <format>', 'output format').choices(['text', 'json', 'yaml']).default('text'),
    );
  addTimeoutOption(addRegistryOptions(command)).action(async (reference: string, flags: InspectFlags) => {
    const { inspectBundle } = await import('../../bundle/read/inspect.ts');
    const description = await inspectBundle(reference, await engineOptions(command));
    for (const warning of description.warnings) process.stderr.write(`warning: ${printable(warning)}\n`);
    writeOut(await format(description, flags.output));
  });
}

async function format(description: BundleDescription, output: InspectFlags['output']): Promise<string> {
  return output === 'text' ? `${text(description).join('\n')}\n` : printedValue(description, output);
}

function text(bundle: BundleDescription): string[] {
  const { requests, bytes, milliseconds } = bundle.readCost;
  return [
    `Image:     ${bundle.image}`,
    ...(bundle.platform ? [`Platform:  ${bundle.platform}`] : []),
    ...(bundle.created ? [`Created:   ${bundle.created}`] : []),
    `Size:      ${formatBytes(bundle.totalSize)} in ${bundle.layers.length} layers`,
    `Read cost: ${requests} requests, ${formatBytes(bytes)}, ${milliseconds} ms; verification: ${bundle.verification}`,
    'Profiles:',
    ...bundle.profiles.map(({ path, size }) => `  ${path}  ${formatBytes(size)}`),
    'Images:',
    ...images(bundle),
    ...(bundle.evidence.length > 0 ? ['Statements (not checked; image-builder verify does that):'] : []),
    ...bundle.evidence.map(evidenceLine),
    'Layers:',
    ...bundle.layers.map(layerLine),
    ...(Object.keys(bundle.labels).length > 0 ? ['Labels:'] : []),
    ...Object.entries(bundle.labels).map(([name, value]) => `  ${name}=${value}`),
  ].map(printable);
}

function images({ qcows, iso }: BundleDescription): string[] {
  const all = [...Object.values(qcows), ...(iso ? [iso] : [])];
  if (all.length === 0) return ['  not described by the bundle; see: image-builder extract REF --list'];
  return all.flatMap(({ file, ...facts }) => {
    const virtual =
      'virtualSize' in facts && facts.virtualSize ? `, ${formatBytes(facts.virtualSize)} virtual` : '';
    const sums = (['md5', 'sha256', 'sha512'] as const).flatMap((name) =>
      facts[name] ? [`    ${name} ${facts[name]}`] : [],
    );
    return [`  ${file}${facts.size === undefined ? '' : `  ${formatBytes(facts.size)}${virtual}`}`, ...sums];
  });
}

function evidenceLine({ kind, key, claims }: BundleDescription['evidence'][number]): string {
  const said = Object.entries(claims).map(([name, value]) => `  ${name}=${value}`);
  return `  ${kind}${key === undefined ? '' : `  key ${key.slice(0, 16)}`}${said.join('')}`;
}

function layerLine({
  digest,
  size,
  mediaType,
  hasProfiles,
  createdBy,
}: BundleDescription['layers'][number]): string {
  const kind = mediaType.replace(/^application\/vnd\./, '');
  return `  ${digest.slice(0, 19)}  ${formatBytes(size).padStart(10)}  ${kind}${hasProfiles ? '  profiles' : ''}${createdBy ? `  ${createdBy}` : ''}`;
}
