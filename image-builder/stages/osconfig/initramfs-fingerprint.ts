// The identity of an initramfs before it is made: a hash of everything in a tree that it could be made from.
import type { StageContext } from '../../sandbox/stage-context.ts';

/** What decides an initramfs. */
export interface InitramfsFingerprint {
  /** Hex SHA-256. */
  hash: string;
  /** Path and size of files that do not count because no hook names them: none of them may be in the initramfs. */
  leftOut: [path: string, bytes: number][];
}

/**
 * Hashes content, modes, owners and links of whatever may go into an initramfs: modules and firmware, of /etc what is known to go
 * into one or is named by a hook, and everything below /usr that a hook could look for. Of programs, libraries and units only those
 * count that hooks name, the programs that run them, and the libraries of all these: what else is installed beside them
 * changes nothing. Where a tree has hooks that somebody has written for it, or another program than initramfs-tools, everything counts.
 * @param extent `all`: programs that nobody names count as well
 */
export async function fingerprintInitramfs(
  tree: string,
  { sandbox, signal, sourceDateEpoch }: StageContext,
  extent: 'named' | 'all' = 'named',
): Promise<InitramfsFingerprint> {
  const rules = JSON.stringify({ configuration: CONFIGURATION, irrelevant: IRRELEVANT, extent });
  const argv = ['python3', '-ISc', FINGERPRINT, tree, `${sourceDateEpoch}`, rules];
  return JSON.parse(await sandbox.run(argv, { signal }));
}

/** Of /etc, also what programs read that hooks start. */
const CONFIGURATION = [
  ...[
    'alternatives',
    'console-setup',
    'crypttab',
    'cryptsetup-initramfs',
    'default',
    'depmod.d',
    'fstab',
    'initramfs-tools',
  ],
  ...['iscsi', 'kernel', 'ld.so.conf', 'ld.so.conf.d', 'lvm', 'mdadm', 'modprobe.d', 'modules'],
  ...['modules-load.d', 'multipath', 'multipath.conf', 'udev', 'vconsole.conf'],
];

/** What no hook of a distribution's package looks at. */
const IRRELEVANT = [
  ...[
    'etc/default/grub',
    'etc/default/grub.d',
    'etc/default/kubelet',
    'etc/default/locale',
    'etc/systemd/system',
  ],
  ...[
    'home',
    'root',
    'srv',
    'var',
    'usr/include',
    'usr/lib/python3',
    'usr/share/bash-completion',
    'usr/share/bug',
  ],
  ...[
    'usr/share/doc',
    'usr/share/fish',
    'usr/share/info',
    'usr/share/lintian',
    'usr/share/locale',
    'usr/share/man',
  ],
  ...['usr/share/zsh'],
];

// Python's SHA-256 takes a quarter of the time of sha256sum(1), and lets other threads hash meanwhile.
const FINGERPRINT = String.raw`
import concurrent.futures, hashlib, json, os, re, stat, sys

tree, epoch, rules = os.fsencode(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
# Not the image's, or what is made from all this, or left by the programs that add users.
never = {b"dev", b"proc", b"run", b"sys", b"tmp", b"etc/.pwd.lock", b"var/cache", b"var/lib/apt", b"var/log", b"var/tmp"}
irrelevant = set(os.fsencode(name) for name in rules["irrelevant"])
configuration = set(os.fsencode(name) for name in rules["configuration"])
# Where the programs are that make an initramfs, and their hooks.
MAKERS = (b"usr/share/initramfs-tools", b"etc/initramfs-tools", b"usr/sbin/mkinitramfs", b"usr/sbin/update-initramfs")
# Of the files in these directories those count that are named.
NAMED = {b"bin", b"sbin", b"usr/bin", b"usr/sbin", b"usr/games", b"etc/alternatives", b"usr/lib/systemd/system", b"usr/lib/systemd/user"}
LIBRARIES = re.compile(rb"(usr/)?lib(32|64|x32)?(/[a-z0-9_]+-linux-[a-z0-9_]+)?")
# Words of a script, with variables and patterns in them; what stands behind .so belongs to the name of a library.
WORD = re.compile(rb"(?:[A-Za-z0-9._+@-]|\$\{[^}]*\}|\$\w+|[*?]|\[[^]\s]*\])+")
VARIABLE = re.compile(rb"\$\{[^}]*\}|\$\w+|[*?]|\[[^]\s]*\]")
LIBRARY = re.compile(rb"\.so(?:\.[0-9]+)*(?![\w.])")
NAME = re.compile(rb"[\w+.-]+$")


def below(*places):
    for place in places:
        top = os.path.join(tree, place)
        yield top
        for directory, _, files in os.walk(top):
            for name in files:
                yield os.path.join(directory, name)


def text_of(file):
    if os.path.islink(file) or not os.path.isfile(file):
        return b""
    with open(file, "rb") as source:
        return source.read()


makers = [text_of(file) for file in below(*MAKERS)]
for text in makers:
    configuration.update(re.findall(rb"etc/([A-Za-z0-9._-]+)", text))

own = os.path.join(tree, b"etc/initramfs-tools/hooks")
is_usual = not (os.path.isdir(own) and os.listdir(own) or os.path.lexists(os.path.join(tree, b"usr/bin/dracut")))
if is_usual:
    counts = lambda path: path not in never and path not in irrelevant and not (
        path.startswith(b"etc/") and path.count(b"/") == 1 and path[4:] not in configuration
    )
else:
    counts = lambda path: path not in never
by_name = is_usual and rules["extent"] == "named"


def entries(directory):
    """Path, status, in the order of the names; of directories those that are looked into."""
    with os.scandir(os.path.join(tree, directory)) as listing:
        found = sorted(listing, key=lambda entry: entry.name)
    for entry in found:
        path = os.path.join(directory, entry.name)
        if not counts(path) or path.startswith(b"boot/initrd.img"):
            continue
        yield path, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from entries(path)


def must_be_named(path, mode):
    directory, _, name = path.rpartition(b"/")
    return not stat.S_ISDIR(mode) and (
        directory in NAMED or b".so" in name and LIBRARIES.fullmatch(directory) is not None
    )


class Names:
    """The names that scripts and programs mention."""

    def __init__(self):
        self.words, self.patterns = set(), set()

    def read_script(self, text):
        for line in text.splitlines():
            if not line.lstrip().startswith(b"#") or line.startswith(b"#!"):
                for word in WORD.findall(line):
                    self.add(word)

    def add(self, word):
        parts = VARIABLE.split(word)
        if len(parts) == 1:
            self.words.add(word)
            # The end of a sentence or of an assignment.
            self.words.add(word.strip(b".-+"))
        elif sum(len(part) for part in parts) >= 3:
            self.patterns.add(b".*".join(re.escape(part) for part in parts))

    def find(self, paths):
        """Those of the paths that are named."""
        pattern = re.compile(b"|".join(sorted(self.patterns)) or rb"(?!)")
        return [path for path in paths if os.path.basename(path) in self.words or pattern.fullmatch(os.path.basename(path))]


def content(path, mode):
    """What is hashed, and the names in it: of libraries in programs, of whatever a script calls, of what a link leads to."""
    full = os.path.join(tree, path)
    if stat.S_ISLNK(mode):
        target = os.readlink(full)
        return target, [os.path.basename(target)], b""
    if not stat.S_ISREG(mode):
        return b"", [], b""
    # No link is followed, and what is hashed is what is looked into.
    with open(os.open(full, os.O_RDONLY | os.O_NOFOLLOW), "rb") as source:
        head = source.read(4)
        source.seek(0)
        if not by_name or path.startswith((b"usr/lib/modules/", b"usr/lib/firmware/")) or head != b"\x7fELF" and head[:2] != b"#!":
            digest = hashlib.sha256()
            while block := source.read(1 << 20):
                digest.update(block)
            return digest.digest(), [], b""
        data = source.read()
    digest = hashlib.sha256(data).digest()
    if head[:2] == b"#!":
        return digest, [], data if must_be_named(path, mode) else b""
    names = []
    for found in LIBRARY.finditer(data):
        name = NAME.search(data, max(0, found.start() - 80), found.start())
        if name:
            names.append(name[0] + found[0])
    return digest, names, b""


def describe(some):
    lines, names, scripts = [], [], []
    for path, status in some:
        mode = status.st_mode
        text, mentioned, script = content(path, mode)
        names += mentioned
        scripts.append(script)
        # A directory is as new as its last change, whatever that was; what is newer than the build gets the build's time.
        time = 0 if stat.S_ISDIR(mode) else min(int(status.st_mtime), epoch)
        head = b"%o %d %d %d %d %d " % (mode, status.st_uid, status.st_gid, time, len(path), len(text))
        lines.append((path, head + path + text))
    return lines, names, scripts


known = Names()
for text in makers:
    known.read_script(text)
listing = list(entries(b""))
left = dict((path, status) for path, status in listing if by_name and must_be_named(path, status.st_mode))
chosen = [(path, status) for path, status in listing if path not in left]
lines = []
with concurrent.futures.ThreadPoolExecutor() as pool:
    while chosen:
        for some, names, scripts in pool.map(describe, [chosen[at : at + 500] for at in range(0, len(chosen), 500)]):
            lines += some
            known.words.update(names)
            for script in scripts:
                known.read_script(script)
        chosen = [(path, left.pop(path)) for path in known.find(left)]
    # Which one of several libraries of a name is taken, the list of libraries decides.
    libraries = [os.path.basename(path) for path, _ in lines if LIBRARIES.fullmatch(os.path.dirname(path)) and b".so" in path]
    if by_name and len(set(libraries)) < len(libraries):
        cache = os.path.join(tree, b"etc/ld.so.cache")
        if os.path.lexists(cache):
            lines += describe([(b"etc/ld.so.cache", os.lstat(cache))])[0]
lines.sort()
digest = hashlib.sha256(b"%d " % epoch)
for _, line in lines:
    digest.update(hashlib.sha256(line).digest())
print(json.dumps({"hash": digest.hexdigest(), "leftOut": sorted((os.fsdecode(path), status.st_size) for path, status in left.items())}))`;
