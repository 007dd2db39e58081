// Reads an IsoConfiguration, airshipctl's object for the ISO of the ephemeral node, into a cut request.

import { collect } from '../../../image-builder/airship/collect.ts';
import { parseNetworkData } from '../../../image-builder/airship/documents.ts';
import { type CutRequest, DEFAULT_ISO_NAME, isFileName } from '../../../image-builder/airship/request.ts';
import { parseVolume } from '../../../image-builder/airship/volume.ts';
import { type Finding, InvalidInputError } from '../../../image-builder/base/diagnostics/error.ts';
import { DEFAULT_SOURCES, findIsoData, type IsoSources, type ObjectSelector } from './iso-sources.ts';

const SELECTOR_FIELDS = ['group', 'version', 'kind', 'name', 'namespace', 'labelSelector'];
const DEFAULT_METADATA_NAME = 'output-metadata.yaml';

/**
 * @param insideContainer whether the volume is seen by its path in the container.
 * @throws InvalidInputError with everything that is wrong in the object and missing among the items.
 */
export function readIsoRequest(
  value: Record<string, unknown>,
  items: readonly Record<string, unknown>[],
  insideContainer: boolean,
): CutRequest {
  const findings: Finding[] = [];
  const builder = mapping(value.builder, 'builder', findings);
  const container = mapping(value.container, 'container', findings);
  const volume = parseVolume(container.volume, findings);
  const text = (key: string, fallback: string) => {
    const found = builder[key];
    if (found === undefined || found === null || found === '') return fallback;
    if (typeof found === 'string') return found;
    findings.push({ severity: 'error', field: `builder.${key}`, message: 'is not text' });
    return fallback;
  };
  const fileName = (key: string, fallback: string) => {
    const name = text(key, fallback);
    if (isFileName(name)) return name;
    findings.push({
      severity: 'error',
      field: `builder.${key}`,
      message: `is ${JSON.stringify(name)}, expected a file name, not a path`,
    });
    return fallback;
  };
  const sources: IsoSources = {
    userDataSelector: selector(builder, 'userDataSelector', findings),
    userDataKey: text('userDataKey', DEFAULT_SOURCES.userDataKey),
    networkConfigSelector: selector(builder, 'networkConfigSelector', findings),
    networkConfigKey: text('networkConfigKey', DEFAULT_SOURCES.networkConfigKey),
  };
  const imageName = fileName('outputFileName', DEFAULT_ISO_NAME);
  const metadataName = fileName('outputMetadataFileName', DEFAULT_METADATA_NAME);
  const { userData, networkData } = findIsoData(sources, items, findings);
  const network =
    networkData === undefined
      ? undefined
      : collect(findings, () => parseNetworkData(networkData, { field: 'builder.networkConfigKey' }));
  if (findings.length > 0 || volume === undefined) throw new InvalidInputError(findings);
  return {
    contract: 'IsoConfiguration',
    imageType: 'iso',
    imageName,
    volume: insideContainer ? volume.container : volume.host,
    metadata: { fileName: metadataName, hostDirectory: volume.host },
    checksumFile: false,
    build: {
      iso: { userData: userData ?? '', networkData: network ?? {}, outputFileName: imageName },
    },
  };
}

function selector(
  builder: Record<string, unknown>,
  key: 'userDataSelector' | 'networkConfigSelector',
  findings: Finding[],
): ObjectSelector {
  if (builder[key] === undefined || builder[key] === null) return DEFAULT_SOURCES[key];
  const given = mapping(builder[key], `builder.${key}`, findings);
  for (const [field, value] of Object.entries(given)) {
    if (!SELECTOR_FIELDS.includes(field)) {
      findings.push({
        severity: 'error',
        field: `builder.${key}.${field}`,
        message: `is unknown, expected one of ${SELECTOR_FIELDS.join(', ')}`,
      });
    } else if (typeof value !== 'string') {
      findings.push({ severity: 'error', field: `builder.${key}.${field}`, message: 'is not text' });
    }
  }
  return { kind: DEFAULT_SOURCES[key].kind, ...given } as ObjectSelector;
}

function mapping(value: unknown, field: string, findings: Finding[]): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  findings.push({ severity: 'error', field, message: 'is not a mapping' });
  return {};
}
