// Finds cloud-init's data for an ISO among the items of a ResourceList: user data in a Secret, network data in the
// Secret that a BareMetalHost refers to.
import type { Finding } from '../../../image-builder/base/diagnostics/error.ts';
import { describeTag, ForeignValue } from '../../../image-builder/base/yaml/tags.ts';
import { parseLabelSelector } from '../label-selector.ts';

type Item = Record<string, unknown>;

/** Selects an object; what is left out matches everything. The names are airshipctl's. */
export interface ObjectSelector {
  group?: string;
  version?: string;
  kind?: string;
  name?: string;
  namespace?: string;
  labelSelector?: string;
}

/** `builder` of an IsoConfiguration, as far as it says where the data is. */
export interface IsoSources {
  userDataSelector: ObjectSelector;
  userDataKey: string;
  networkConfigSelector: ObjectSelector;
  networkConfigKey: string;
}

/** What airshipctl's documents are labelled with. */
export const DEFAULT_SOURCES: IsoSources = {
  userDataSelector: { kind: 'Secret', labelSelector: 'airshipit.org/ephemeral-user-data in (True, true)' },
  userDataKey: 'userData',
  networkConfigSelector: {
    kind: 'BareMetalHost',
    labelSelector: 'airshipit.org/ephemeral-node in (True, true)',
  },
  networkConfigKey: 'networkData',
};

/** The two texts; undefined with a finding where one was not found. */
export function findIsoData(
  sources: IsoSources,
  items: readonly Item[],
  findings: Finding[],
): { userData: string | undefined; networkData: string | undefined } {
  const user = selectOne(sources.userDataSelector, items, 'builder.userDataSelector', findings);
  const userData = user && secretValue(user, sources.userDataKey, 'builder.userDataKey', findings);
  const network = selectOne(sources.networkConfigSelector, items, 'builder.networkConfigSelector', findings);
  const secret = network && networkSecret(network, items, findings);
  const networkData =
    secret && secretValue(secret, sources.networkConfigKey, 'builder.networkConfigKey', findings);
  return { userData, networkData };
}

function selectOne(
  selector: ObjectSelector,
  items: readonly Item[],
  field: string,
  findings: Finding[],
): Item | undefined {
  let matchesLabels: ReturnType<typeof parseLabelSelector>;
  try {
    matchesLabels = parseLabelSelector(selector.labelSelector ?? '');
  } catch (error) {
    findings.push({ severity: 'error', field: `${field}.labelSelector`, message: (error as Error).message });
    return undefined;
  }
  const wanted = Object.entries(selector)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
  const found = items.filter((item) => matchesIdentity(selector, item) && matchesLabels(labelsOf(item)));
  const [first, second] = found;
  if (first && !second) return first;
  const met = first
    ? `${found.length} objects match: ${found.map(identityOf).join(', ')}`
    : 'no object matches';
  findings.push({ severity: 'error', field, message: `${met} (${wanted}), expected exactly one` });
  return undefined;
}

function matchesIdentity(selector: ObjectSelector, item: Item): boolean {
  const [version = '', group = ''] = String(item.apiVersion ?? '')
    .split('/')
    .reverse();
  const { name, namespace } = metadataOf(item);
  const actual: Record<string, unknown> = { group, version, kind: item.kind, name, namespace };
  return ['group', 'version', 'kind', 'name', 'namespace'].every((key) => {
    const wanted = selector[key as keyof ObjectSelector];
    return wanted === undefined || wanted === '' || wanted === actual[key];
  });
}

/** The Secret that holds the network data: the one that was selected, or the one that a BareMetalHost names. */
function networkSecret(object: Item, items: readonly Item[], findings: Finding[]): Item | undefined {
  if (object.kind === 'Secret') return object;
  const reference = (object.spec as Record<string, unknown> | undefined)?.networkData as Item | undefined;
  if (typeof reference?.name !== 'string') {
    findings.push({
      severity: 'error',
      field: 'builder.networkConfigSelector',
      message: `${identityOf(object)} has no spec.networkData.name, which names the Secret with the network data`,
    });
    return undefined;
  }
  // metal3: without a namespace the Secret is in that of the host.
  const namespace = reference.namespace ?? metadataOf(object).namespace;
  const secret = items.find(
    (item) =>
      item.kind === 'Secret' &&
      metadataOf(item).name === reference.name &&
      (namespace === undefined || (metadataOf(item).namespace ?? 'default') === namespace),
  );
  if (secret === undefined) {
    findings.push({
      severity: 'error',
      field: 'builder.networkConfigSelector',
      message: `Secret ${namespace === undefined ? '' : `${namespace}/`}${reference.name}, which ${identityOf(object)} names in spec.networkData, is not among the items`,
    });
  }
  return secret;
}

/** A value of a Secret. Its content never appears in a message. */
function secretValue(secret: Item, key: string, field: string, findings: Finding[]): string | undefined {
  const stringData = (secret.stringData ?? {}) as Record<string, unknown>;
  const data = (secret.data ?? {}) as Record<string, unknown>;
  const plain = stringData[key];
  if (typeof plain === 'string') return plain;
  const encoded = data[key];
  const report = (message: string) => {
    findings.push({ severity: 'error', field, message: `${identityOf(secret)} ${message}` });
    return undefined;
  };
  const foreign = [plain, encoded].find((value) => value instanceof ForeignValue);
  if (foreign) return report(`has ${describeTag(foreign.tag)} at ${key}`);
  if (encoded === undefined || encoded === null) {
    const keys = [...Object.keys(stringData), ...Object.keys(data)];
    return report(`has no key ${key}; it has ${keys.join(', ') || 'none'}`);
  }
  const text = String(encoded).replace(/\s/g, '');
  if (typeof encoded !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
    return report(`has a value in data.${key} that is not base64`);
  }
  const bytes = Buffer.from(text, 'base64');
  const decoded = bytes.toString('utf8');
  if (!Buffer.from(decoded, 'utf8').equals(bytes))
    return report(`has a value in data.${key} that is not UTF-8 text`);
  return decoded;
}

function metadataOf(item: Item): { name?: unknown; namespace?: unknown; labels?: unknown } {
  return typeof item.metadata === 'object' && item.metadata !== null ? item.metadata : {};
}

function labelsOf(item: Item): Record<string, unknown> {
  const { labels } = metadataOf(item);
  return typeof labels === 'object' && labels !== null ? (labels as Record<string, unknown>) : {};
}

function identityOf(item: Item): string {
  const { name, namespace } = metadataOf(item);
  return `${item.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
