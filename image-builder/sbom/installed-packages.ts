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
    const field = fieldsOf(stanza);
    const [name, version, architecture] = [field('Package'), field('Version'), field('Architecture')];
    const state = field('Status')?.split(' ')[2];
    if (state !== 'installed' || !name || !version || !architecture) return [];
    const maintainer = field('Maintainer');
    return [
      {
        name,
        version,
        architecture,
        ...(maintainer && { maintainer }),
        source: sourceOf(field('Source'), name, version),
        depends: [...relations(field('Pre-Depends')), ...relations(field('Depends'))],
        provides: relations(field('Provides')).flat(),
      },
    ];
  });
  return installed.sort((a, b) => compare(a.name, b.name) || compare(a.architecture, b.architecture));
}

/** First lines only: what continues on further lines (descriptions, conffiles) is of no interest here. */
function fieldsOf(stanza: string): (name: string) => string | undefined {
  const lines = `\n${stanza}\n`;
  return (name) => {
    const at = lines.indexOf(`\n${name}:`);
    if (at < 0) return undefined;
    const begin = at + name.length + 2;
    return lines.slice(begin, lines.indexOf('\n', begin)).trim();
  };
}

/** `Source: util-linux (2.41-5)`: the version only where it is not the package's own. */
function sourceOf(field: string | undefined, name: string, version: string) {
  const [, source = name, own = version] = /^(\S+)(?:\s+\(([^)]+)\))?$/.exec(field ?? '') ?? [];
  return { name: source, version: own };
}

function relations(field: string | undefined): string[][] {
  if (field === undefined) return [];
  return field.split(',').flatMap((group) => {
    const names = group.split('|').flatMap((one) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(one)?.[1] ?? []);
    return names.length > 0 ? [names] : [];
  });
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
