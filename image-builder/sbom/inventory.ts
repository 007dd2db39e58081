// Looks into a finished tree for what its bill of materials tells, without believing any of its links: the program that
// reads has the tree as its root directory.
import type { StageContext } from '../sandbox/stage-context.ts';

/** What is in a tree. */
export interface Inventory {
  /** Text of os-release(5). */
  osRelease: string;
  /** Text of dpkg's status file. */
  status: string;
  /** Licences that a package's machine-readable copyright file names, by package; sorted. */
  licences: Record<string, string[]>;
  /** Files that belong to no package and that everybody may read, sorted by path. Digests in hex. */
  files: { path: string; sha1: string; sha256: string }[];
  /** How many more such files there are. */
  omitted: number;
  /** SHA-256 in hex of the files that were asked for, by path, as far as they are there. */
  wanted: Record<string, string>;
  /** Container images in the stores of container engines; sorted by digest. */
  images: { digest: string; names: string[] }[];
}

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
  const input = JSON.stringify({ wanted, most: MOST_FILES });
  return JSON.parse(await sandbox.run(['python3', '-ISc', PROGRAM, tree], { input, signal }));
}

// What is excluded is state and caches: of dpkg and apt, of Python, of services, and what engines keep images in.
const PROGRAM = `
import hashlib, json, os, re, stat, sys

request = json.load(sys.stdin)
os.chroot(sys.argv[1])
os.chdir("/")
LIMIT = 4 << 20
EXCLUDED = re.compile(
    rb"^/(?:dev|proc|run|sys|tmp|var/(?:cache|log|tmp|lib/(?:apt|dpkg|ucf|pam|systemd|containerd|containers|docker|image-builder/preload)))(?:/|$)"
    rb"|^/boot/grub/[^/]+-(?:pc|efi)/|/__pycache__(?:/|$)|\\.pyc$"
)


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


def parsed(path):
    try:
        return json.loads(read(path))
    except ValueError:
        return None


def listing(directory):
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def digests(path):
    sums = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        while block := file.read(1 << 20):
            for one in sums:
                one.update(block)
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
unknown, links = [], set()


def walk(directory):
    with os.scandir(directory or b"/") as entries:
        for entry in entries:
            path = directory + b"/" + entry.name
            if entry.is_dir(follow_symlinks=False):
                if not EXCLUDED.search(path):
                    walk(path)
            elif entry.is_symlink():
                if path in directories:
                    links.add(path)
            elif path not in owned and entry.is_file(follow_symlinks=False) and not EXCLUDED.search(path):
                # The digest of a secret is a way to try what it could be.
                if entry.stat(follow_symlinks=False).st_mode & stat.S_IROTH:
                    unknown.append(path)


def unowned():
    """Packages name files as they have them: where a directory has become a link since, the file is behind it."""
    walk(b"")
    linked = tuple(link + b"/" for link in links)
    names = {}
    for directory in directories:
        if (directory + b"/").startswith(linked):
            names.setdefault(os.path.realpath(directory).rstrip(b"/"), []).append(directory)

    def is_owned(path):
        directory, _, file = path.rpartition(b"/")
        return any(name + b"/" + file in owned for name in names.get(directory, ()))

    return sorted(path for path in unknown if not is_owned(path))


# A field, or an empty line, with the end of the line before: Python looks for patterns that begin with a character
# many times faster than for those that begin with a choice. The fields are those of any case.
FIELD = re.compile(rb"\\n(?:([Ff][Ii][Ll][Ee][Ss]|[Ll][Ii][Cc][Ee][Nn][Ss][Ee]):(.*)|[ \\t\\r]*$)", re.M)


def licences():
    found = {}
    for package in listing(b"/usr/share/doc"):
        content = read(b"/usr/share/doc/" + package + b"/copyright", 1 << 20)
        if not re.match(rb"(?i)format(?:-specification)?:", content):
            continue
        synopses, licensed = set(), True
        # A stanza without files gives the text of a licence only; the first one is about all of them.
        for name, value in FIELD.findall(content):
            if not name:
                licensed = False
            elif len(name) == len("Files"):
                licensed = True
            elif licensed and (synopsis := value.strip()):
                synopses.add(text(synopsis[:500]))
        if synopses:
            found[text(package)] = sorted(synopses)
    return found


def images():
    """Of CRI-O and podman by their lists, of Docker by its own, of containerd by the manifests in its store,
    and those that the disk carries for it."""
    found = {}

    def note(digest, names=()):
        if isinstance(digest, str) and re.fullmatch("sha256:[0-9a-f]{64}", digest):
            found.setdefault(digest, set()).update(name for name in names if isinstance(name, str))

    for image in parsed(b"/var/lib/containers/storage/overlay-images/images.json") or []:
        if isinstance(image, dict):
            names = image.get("names")
            note(image.get("digest"), names if isinstance(names, list) else [])
    repositories = parsed(b"/var/lib/docker/image/overlay2/repositories.json")
    repositories = repositories.get("Repositories") if isinstance(repositories, dict) else None
    for tags in (repositories or {}).values() if isinstance(repositories, dict) else []:
        for name in tags if isinstance(tags, dict) else []:
            note(name.partition("@")[2], [name.partition("@")[0]])
    blobs = b"/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256"
    for name in listing(blobs):
        try:
            small = os.stat(blobs + b"/" + name).st_size < 1 << 16
        except OSError:
            continue
        manifest = parsed(blobs + b"/" + name) if small else None
        if isinstance(manifest, dict) and isinstance(manifest.get("layers"), list) and "config" in manifest:
            note("sha256:" + text(name))
    carried = parsed(b"/var/lib/image-builder/preload/layout/index.json")
    manifests = carried.get("manifests") if isinstance(carried, dict) else None
    for manifest in manifests if isinstance(manifests, list) else []:
        annotations = manifest.get("annotations") if isinstance(manifest, dict) else None
        name = annotations.get("org.opencontainers.image.ref.name") if isinstance(annotations, dict) else None
        if isinstance(name, str):
            note(manifest.get("digest"), [name.partition("@")[0]])
    # The name without a tag tells nothing beside the one with it.
    return [
        {"digest": digest, "names": sorted(names - {name.rpartition(":")[0] for name in names})}
        for digest, names in sorted(found.items())
    ]


files, omitted = [], 0
for path in unowned():
    if len(files) < request["most"]:
        sums = digests(path)
        if sums:
            files.append({"path": text(path), "sha1": sums[0], "sha256": sums[1]})
    else:
        omitted += 1
wanted = {}
for path in request["wanted"]:
    try:
        sums = digests(path)
    except OSError:
        continue
    if sums:
        wanted[path] = sums[1]
result = {
    "osRelease": text(read(b"/etc/os-release", 1 << 16)),
    "status": text(read(b"/var/lib/dpkg/status", 64 << 20)),
    "licences": licences(),
    "files": files,
    "omitted": omitted,
    "wanted": wanted,
    "images": images(),
}
json.dump(result, sys.stdout)
`;
