// The packages that a tree has, as dpkg's own database describes them (deb-control(5), dpkg's lib/dpkg/parse.c).

/** An installed package. */
export interface InstalledPackage {
  name: string;
  version: string;
  architecture: string;
  /** As deb822 has it: `Name <address>`. */
  maintainer?: string;
  /** The source package that it was built from; a field only where they differ, here always. */
  source: { name: string; version: string };
  /** `Pre-Depends` and `Depends`: of each group of alternatives one is needed; names, without versions. */
  depends: string[][];
  /** Names that it stands for besides its own. */
  provides: string[];
}

/**
 * Reads `/var/lib/dpkg/status`; packages that are not wholly installed are left out.
 * @returns sorted by name and architecture
 */
export function parseStatus(text: string): InstalledPackage[] {
  const installed = text.split(/\n(?:[ \t]*\n)+/).flatMap((stanza) => {
    const fields = fieldsOf(stanza);
    const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((one) =>
      fields.get(one),
    );
    const state = fields.get('Status')?.split(' ')[2];
    if (state !== 'installed' || !name || !version || !architecture) return [];
    const maintainer = fields.get('Maintainer');
    return [
      {
        name,
        version,
        architecture,
        ...(maintainer && { maintainer }),
        source: sourceOf(fields.get('Source'), name, version),
        depends: [...relations(fields.get('Pre-Depends')), ...relations(fields.get('Depends'))],
        provides: relations(fields.get('Provides')).flat(),
      },
    ];
  });
  return installed.sort((a, b) => compare(a.name, b.name) || compare(a.architecture, b.architecture));
}

/** First lines only: what continues on further lines (descriptions, conffiles) is of no interest here. */
function fieldsOf(stanza: string): Map<string, string> {
  const lines = stanza.split('\n').flatMap((line) => /^([A-Za-z0-9-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []);
  const fields = new Map<string, string>();
  for (let index = 0; index < lines.length; index += 3)
    fields.set(lines[index + 1] ?? '', lines[index + 2] ?? '');
  return fields;
}

/** `Source: util-linux (2.41-5)`: the version only where it is not the package's own. */
function sourceOf(field: string | undefined, name: string, version: string) {
  const [, source = name, own = version] = /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(field ?? '') ?? [];
  return { name: source, version: own };
}

function relations(field: string | undefined): string[][] {
  return (field ?? '').split(',').flatMap((group) => {
    const names = group.split('|').flatMap((one) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(one)?.[1] ?? []);
    return names.length > 0 ? [names] : [];
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
