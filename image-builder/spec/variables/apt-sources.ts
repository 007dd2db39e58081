// Reads apt's list of repositories (sources.list(5)), both the one-line and the deb822 form. Pure.

/** A repository of binary packages that apt is set up with. */
export interface AptSource {
  /** Base URI without a trailing slash. */
  uri: string;
  suite: string;
  components: string[];
  /** Architectures it is limited to; none: no limit. */
  architectures: string[];
}

const withoutTrailingSlash = (uri: string) => uri.replace(/\/+$/, '');

/**
 * @param path decides the form, as it does for apt: `*.sources` is deb822, everything else has one line per entry.
 * @returns the enabled `deb` entries in their order; what is malformed is left out, apt itself complains about that.
 */
export function parseAptSources(path: string, text: string): AptSource[] {
  return path.endsWith('.sources') ? parseDeb822(text) : parseOneLine(text);
}

function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)/.exec(
      line.replace(/\s#.*$/, ''),
    );
    if (!match?.[2] || !match[3]) continue;
    const architectures = /\barch=(\S+)/.exec(match[1] ?? '')?.[1]?.split(',') ?? [];
    sources.push({
      uri: withoutTrailingSlash(match[2]),
      suite: match[3],
      components: words(match[4]),
      architectures,
    });
  }
  return sources;
}

function parseDeb822(text: string): AptSource[] {
  const stanzas = text.replace(/^#.*\n?/gm, '').split(/\n\s*\n/);
  return stanzas.flatMap((stanza) => {
    const fields = new Map<string, string>();
    for (const [, name, value] of stanza.matchAll(/^([A-Za-z0-9-]+)\s*:((?:.*(?:\n[ \t].*)*))/gm)) {
      if (name !== undefined) fields.set(name.toLowerCase(), value ?? '');
    }
    if (!words(fields.get('types')).includes('deb')) return [];
    if (/^\s*(no|false|off|disable|without)\s*$/i.test(fields.get('enabled') ?? '')) return [];
    return words(fields.get('uris')).flatMap((uri) =>
      words(fields.get('suites')).map((suite) => ({
        uri: withoutTrailingSlash(uri),
        suite,
        components: words(fields.get('components')),
        architectures: words(fields.get('architectures')),
      })),
    );
  });
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');
