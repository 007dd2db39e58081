// The identity of an initramfs before it is made: a hash of everything in a tree that it could be made from.
import type { StageContext } from '../../sandbox/stage-context.ts';

/**
 * Hex SHA-256 of the content, modes, owners and links of whatever may go into an initramfs: the programs, libraries, modules
 * and firmware that hooks copy, and of /etc what is known to go into one or is named by a hook. Where a tree has hooks that
 * somebody has written for it, or another program than initramfs-tools, everything counts.
 */
export async function fingerprintInitramfs(
  tree: string,
  { sandbox, signal, sourceDateEpoch }: StageContext,
): Promise<string> {
  const rules = JSON.stringify({ configuration: CONFIGURATION, irrelevant: IRRELEVANT });
  const argv = ['python3', '-ISc', FINGERPRINT, tree, `${sourceDateEpoch}`, rules];
  return (await sandbox.run(argv, { signal })).trim();
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
  ...[
    'iscsi',
    'kernel',
    'ld.so.cache',
    'ld.so.conf',
    'ld.so.conf.d',
    'lvm',
    'mdadm',
    'modprobe.d',
    'modules',
  ],
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
  ...['home', 'root', 'srv', 'var', 'usr/share/bug', 'usr/share/doc', 'usr/share/info', 'usr/share/lintian'],
  ...['usr/share/locale', 'usr/share/man'],
];

// Python's SHA-256 takes a quarter of the time of sha256sum(1), and lets other threads hash meanwhile.
const FINGERPRINT = `
import concurrent.futures, hashlib, json, os, re, stat, sys

tree, epoch, rules = os.fsencode(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
# Not the image's, or what is made from all this, or left by the programs that add users.
never = {b"dev", b"proc", b"run", b"sys", b"tmp", b"etc/.pwd.lock", b"var/cache", b"var/lib/apt", b"var/log", b"var/tmp"}
irrelevant = set(os.fsencode(name) for name in rules["irrelevant"])
configuration = set(os.fsencode(name) for name in rules["configuration"])


def below(*places):
    for place in places:
        top = os.path.join(tree, place)
        yield top
        for directory, _, files in os.walk(top):
            for name in files:
                yield os.path.join(directory, name)


for file in below(b"usr/share/initramfs-tools", b"etc/initramfs-tools", b"usr/sbin/mkinitramfs"):
    if os.path.isfile(file) and not os.path.islink(file):
        with open(file, "rb") as source:
            configuration.update(re.findall(rb"etc/([A-Za-z0-9._-]+)", source.read()))

own = os.path.join(tree, b"etc/initramfs-tools/hooks")
if os.path.isdir(own) and os.listdir(own) or os.path.lexists(os.path.join(tree, b"usr/bin/dracut")):
    counts = lambda path: path not in never
else:
    counts = lambda path: path not in never and path not in irrelevant and not (
        path.startswith(b"etc/") and path.count(b"/") == 1 and path[4:] not in configuration
    )


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


def content(path, mode):
    full = os.path.join(tree, path)
    if stat.S_ISLNK(mode):
        return os.readlink(full)
    if not stat.S_ISREG(mode):
        return b""
    digest = hashlib.sha256()
    descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        while True:
            block = os.read(descriptor, 1 << 20)
            if not block:
                return digest.digest()
            digest.update(block)
    finally:
        os.close(descriptor)


def describe(some):
    digest = hashlib.sha256()
    for path, status in some:
        mode = status.st_mode
        text = content(path, mode)
        # A directory is as new as its last change, whatever that was; what is newer than the build gets the build's time.
        time = 0 if stat.S_ISDIR(mode) else min(int(status.st_mtime), epoch)
        head = b"%o %d %d %d %d %d " % (mode, status.st_uid, status.st_gid, time, len(path), len(text))
        digest.update(head + path + text)
    return digest.digest()


listing = list(entries(b""))
parts = [listing[start : start + 500] for start in range(0, len(listing), 500)]
with concurrent.futures.ThreadPoolExecutor() as pool:
    whole = b"".join(pool.map(describe, parts))
print(hashlib.sha256(b"%d " % epoch + whole).hexdigest())`;
