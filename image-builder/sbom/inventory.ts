// Looks into a finished tree for what its bill of materials tells, without believing any of its links: the program that
// reads has the tree as its root directory.
import type { StageContext } from '../sandbox/stage-context.ts';
import { type ContainerImage, ContainerImages, type ImageStore } from './container-images.ts';

/** What is in a tree. */
export interface Inventory {
  /** Text of os-release(5). */
  osRelease: string;
  /** Text of dpkg's status file. */
  status: string;
  /** Licences that a package's machine-readable copyright file names, by package; sorted. */
  licences: ReadonlyMap<string, string[]>;
  /** Files that belong to no package and that everybody may read, sorted by path. */
  files: UnownedFile[];
  /** How many more such files there are. */
  omitted: number;
  /** SHA-256 in hex of the files that were asked for, by path, as far as they are there. */
  wanted: ReadonlyMap<string, string>;
  /** Container images in the stores of container engines; sorted by digest. */
  images: ContainerImage[];
}

/** Digests in hex. */
export interface UnownedFile {
  path: string;
  sha256: string;
  /** Absent for files above {@link LARGE_FILE}: two digests of an initramfs would take a third of the time of everything. */
  sha1?: string;
}

/** In bytes. */
const LARGE_FILE = 1024 * 1024;

/** A list of more files than that would be no use to anybody. */
const MOST_FILES = 5000;

/**
 * Reads a tree.
 * @param wanted absolute paths of files whose digests are asked for
 * @throws ToolError
 */
export async function takeInventory(
  tree: string,
  wanted: readonly string[],
  { sandbox, signal }: Pick<StageContext, 'sandbox' | 'signal'>,
): Promise<Inventory> {
  const argv = ['python3', '-ISc', PROGRAM, tree, `${MOST_FILES}`, `${LARGE_FILE}`];
  return readRecords(await sandbox.run(argv, { input: wanted.join('\0'), signal }));
}

/** Each record is its kind and three texts, each of them ended by a NUL. */
function readRecords(output: string): Inventory {
  const texts = new Map<string, string>();
  const licences = new Map<string, string[]>();
  const wanted = new Map<string, string>();
  const files: Inventory['files'] = [];
  const images = new ContainerImages();
  const fields = output.split('\0');
  for (let index = 0; index + 4 < fields.length; index += 4) {
    const [kind = '', a = '', b = '', c = ''] = fields.slice(index, index + 4);
    if (kind === 'licences') licences.set(a, b.split('\n'));
    else if (kind === 'file') files.push({ path: a, sha256: b, ...(c !== '' && { sha1: c }) });
    else if (kind === 'wanted') wanted.set(a, b);
    else if (isStore(kind)) images.add(kind, a, b);
    else texts.set(kind, a);
  }
  const { osRelease = '', status = '', omitted = '0' } = Object.fromEntries(texts);
  return { osRelease, status, licences, files, omitted: Number(omitted), wanted, images: images.list() };
}

const STORES: readonly string[] = ['containers', 'docker', 'containerd', 'carried'] satisfies ImageStore[];
const isStore = (kind: string): kind is ImageStore => STORES.includes(kind);

// What is excluded is state and caches: of dpkg and apt, of Python, of services, and what engines keep images in. Most of
// the time is the kernel's and the digests', so Python's own must not be wasted: its modules for regular expressions and
// JSON take longer to import than all licences to read.
const PROGRAM = `
import gc, hashlib, os, stat, sys

# It ends soon, and makes nothing that refers to itself.
gc.disable()
tree, most, large = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
requested = [path for path in sys.stdin.buffer.read().split(b"\\0") if path]
os.chroot(tree)
os.chdir("/")
LIMIT = 4 << 20
# No manifest has more bytes.
SMALL = 1 << 16
EXCLUDED = {
    b"/" + path
    for path in (
        b"dev proc run sys tmp var/cache var/log var/tmp"
        b" var/lib/apt var/lib/dpkg var/lib/ucf var/lib/pam var/lib/systemd"
        b" var/lib/containerd var/lib/containers var/lib/docker var/lib/image-builder/preload"
    ).split()
}


def tell(*fields):
    texts = [field.replace("\\0", "\\ufffd") for field in fields] + [""] * (4 - len(fields))
    sys.stdout.buffer.write("\\0".join([*texts, ""]).encode("utf-8", "backslashreplace"))


def read(path, limit=LIMIT):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b""
        return os.read(descriptor, min(status.st_size, limit))
    finally:
        os.close(descriptor)


def text(data):
    return data.decode("utf-8", "backslashreplace")


def listing(directory):
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def digests(path):
    """SHA-256, and SHA-1 unless the file is large."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        sums = [hashlib.sha256()]
        if status.st_size <= large:
            sums.append(hashlib.sha1(usedforsecurity=False))
        block = memoryview(bytearray(min(status.st_size + 1, 1 << 18)))
        while length := file.readinto(block):
            for one in sums:
                one.update(block[:length])
    return [one.hexdigest() for one in sums]


owned = set()
information = b"/var/lib/dpkg/info"
for name in listing(information):
    if name.endswith(b".list"):
        owned.update(read(information + b"/" + name, 64 << 20).split(b"\\n"))
owned.update(filter(lambda line: line.startswith(b"/"), read(b"/var/lib/dpkg/diversions").split(b"\\n")))

# What packages call directories: one of them may have become a link since.
directories = {path.rpartition(b"/")[0] for path in owned}
for directory in tuple(directories):
    while (directory := directory.rpartition(b"/")[0]) and directory not in directories:
        directories.add(directory)
unknown, links = [], []


def walk(directory):
    with os.scandir(directory or b"/") as entries:
        for entry in entries:
            path = directory + b"/" + entry.name
            if entry.is_dir(follow_symlinks=False):
                if path not in EXCLUDED and entry.name != b"__pycache__" and not is_of_grub(directory, path):
                    walk(path)
            elif entry.is_symlink():
                if path in directories:
                    links.append(path)
            elif path not in owned and entry.is_file(follow_symlinks=False):
                unknown.append(path)


def is_of_grub(directory, path):
    return directory == b"/boot/grub" and path.endswith((b"-pc", b"-efi"))


def unowned():
    """Packages name files as they have them: where a directory has become a link since, the file is behind it."""
    walk(b"")
    linked = tuple(link + b"/" for link in links)
    names = {}
    for directory in directories:
        if (directory + b"/").startswith(linked):
            try:
                os.chdir(directory)
            except OSError:
                continue
            # Of the root directory that is one slash.
            names.setdefault(os.getcwdb().rstrip(b"/"), []).append(directory)

    def is_owned(path):
        directory, _, file = path.rpartition(b"/")
        for name in names.get(directory, ()):
            if name + b"/" + file in owned:
                return True
        return False

    def is_public(path):
        """The digest of a secret is a way to try what it could be."""
        return os.lstat(path).st_mode & stat.S_IROTH

    return sorted(
        path for path in unknown if not is_owned(path) and not path.endswith(b".pyc") and is_public(path)
    )


def synopses(content):
    """First lines of the licences of files, if it is a machine-readable copyright file."""
    if not content[:32].lower().startswith((b"format:", b"format-specification:")):
        return []
    if b" \\n" in content or b"\\t\\n" in content or b"\\r\\n" in content:
        content = b"\\n".join(map(bytes.rstrip, content.split(b"\\n")))
    content += b"\\n\\n"
    found, folded = set(), content.lower()
    # A stanza without files gives the text of a licence only; the first one is about all of them.
    stanza = 0
    while stanza >= 0:
        end = folded.find(b"\\n\\n", stanza + 1)
        line = stanza
        while (field := folded.find(b"\\nlicense:", line, end)) >= 0:
            line = folded.find(b"\\n", field + 1)
            if synopsis := content[field + len("\\nlicense:") : line].strip():
                found.add(text(synopsis[:500]))
        stanza = folded.find(b"\\nfiles:", end)
    return sorted(found)


def licences():
    # Packages of one source have the same file.
    known = {}
    for package in listing(b"/usr/share/doc"):
        content = read(b"/usr/share/doc/" + package + b"/copyright", 1 << 20)
        if content not in known:
            known[content] = "\\n".join(synopses(content))
        if known[content]:
            tell("licences", text(package), known[content])


def images():
    """What the stores of engines say: of CRI-O and podman, Docker and containerd, and what the disk carries for it."""
    tell("containers", text(read(b"/var/lib/containers/storage/overlay-images/images.json")))
    tell("docker", text(read(b"/var/lib/docker/image/overlay2/repositories.json")))
    tell("carried", text(read(b"/var/lib/image-builder/preload/layout/index.json")))
    blobs = b"/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
    for name in listing(blobs):
        content = read(blobs + b"/" + name, SMALL)
        if len(content) < SMALL and b'"layers"' in content and b'"config"' in content:
            tell("containerd", text(content), text(name))


tell("osRelease", text(read(b"/etc/os-release", 1 << 16)))
tell("status", text(read(b"/var/lib/dpkg/status", 64 << 20)))
licences()
known, omitted = {}, 0
for path in unowned():
    if len(known) == most:
        omitted += 1
        continue
    sums = known[path] = digests(path)
    if sums:
        tell("file", text(path), *sums)
tell("omitted", str(omitted))
for path in requested:
    try:
        sums = known.get(path) or digests(path)
    except OSError:
        continue
    if sums:
        tell("wanted", text(path), sums[0])
images()
`;
