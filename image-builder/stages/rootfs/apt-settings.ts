// How a private apt is set up: what apt.conf(5) says.
import type { StageContext } from '../../sandbox/stage-context.ts';
import type { KeptLists } from './kept-lists.ts';

/** What an apt of its own is set up with. */
export interface AptOptions {
  /** Private directory; made when it does not exist. */
  directory: string;
  architecture: string;
  /** apt_preferences(5). */
  preferences: string;
  /** apt_auth.conf(5). */
  credentials: string;
  /** Package lists of an earlier build; absent: there are none, and they are not kept. */
  kept?: KeptLists;
}

/** apt.conf(5). Pattern-Only: a name that no package has is an error, and no regular expression for others. Pure. */
export function renderSettings({ directory, architecture, kept }: AptOptions): string {
  const places = kept
    ? `Dir::State::Lists "${kept.lists}/";
Dir::State::status "${kept.status}";
Dir::Cache::pkgcache "${kept.parsed}";
Dir::Cache::srcpkgcache "";
`
    : `Dir::State::status "${directory}/status";\n`;
  return `Dir "${directory}/";
Dir::Etc "etc";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::State "state";
Dir::Cache "cache";
${places}Dir::Log "log";
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
APT::Cmd::Pattern-Only "true";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "0";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
`;
}

/** The mirror of this machine's apt is only reachable the way this machine's apt reaches it. */
export async function readProxies({ sandbox, signal }: StageContext): Promise<string> {
  const settings = await sandbox.run(['apt-config', 'dump'], { signal });
  return settings
    .split('\n')
    .filter((line) => /^Acquire::(http|https|ftp)::(Proxy|proxy)\b.* ".+";$/.test(line))
    .map((line) => `${line}\n`)
    .join('');
}
