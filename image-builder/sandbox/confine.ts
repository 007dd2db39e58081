// The program that makes the root directory of a confined command, and starts that. In Python: some forty system calls by
// mount(8) would take more processor time than many of the commands.
//
// Whoever leaves a chroot in it is in a file system in memory with the programs of this machine and what everybody may read
// of /etc, read-only; with the directories that the command is about; and with nothing else. It is made before the user
// namespace, so that whoever is root of that can undo none of it: the kernel locks mounts that come from a more privileged
// namespace (mount_namespaces(7)), and refuses a second /proc that would show more than the first.

/** Arguments: the view as JSON ({@link confinedPrefix}), the command. Numbers of linux/mount.h and linux/sched.h. */
export const CONFINE = `
import ctypes, errno, json, os, socket, stat, sys

RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, RECURSIVE = 1, 2, 4, 8, 32, 4096, 16384
DETACH = 2
NEWNS, NEWUSER = 0x20000, 0x10000000
libc = ctypes.CDLL(None, use_errno=True)
view, command = json.loads(sys.argv[1]), sys.argv[2:]
root = view["root"]


def call(name, *arguments):
    values = [os.fsencode(value) if isinstance(value, str) else value for value in arguments]
    if getattr(libc, name)(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)), str(arguments))


def mount(source, target, kind=None, flags=0, data=None):
    call("mount", source, target, kind, ctypes.c_ulong(flags), data)


def bind(source, target):
    mount(source, target, None, BIND | RECURSIVE)


def mounts_below(path):
    with open(root + "/proc/self/mountinfo", "rb") as table:
        places = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in table]
    return [place for place in places if (place + b"/").startswith(os.fsencode(path) + b"/")]


def seal(path):
    """Makes it read-only with all that is mounted in it; the flags that a mount has may not be taken away."""
    for place in mounts_below(path):
        kept = os.statvfs(place).f_flag & (NOSUID | NODEV | NOEXEC)
        mount(None, place, None, REMOUNT | BIND | RDONLY | kept)


def mask(directory):
    """Hides what not everybody may read: keys and passwords are among it."""
    for entry in os.scandir(directory):
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if mode & 0o5 == 0o5:
                mask(entry.path)
            else:
                bind(root + "/nothing/directory", entry.path)
        elif stat.S_ISREG(mode) and not mode & stat.S_IROTH:
            bind(root + "/nothing/file", entry.path)


def make_file(path, content=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as target:
        target.write(content)


def add_programs():
    for name in view["programs"]:
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), root + "/" + name)
        elif os.path.isdir("/" + name):
            os.mkdir(root + "/" + name)
            bind("/" + name, root + "/" + name)
    bind("/etc", root + "/etc")
    for directory in ("/etc", "/usr/local/etc"):
        if os.path.isdir(root + directory):
            mask(root + directory)
    # It may be a link to where nothing else is seen.
    names = os.path.realpath("/etc/resolv.conf")
    if not names.startswith("/etc/") and os.path.isfile(names):
        make_file(root + names, open(names, "rb").read())


def add_proc():
    try:
        mount("proc", root + "/proc", "proc", NOSUID | NODEV | NOEXEC)
    except OSError:
        # A second one cannot be mounted where that of the machine shows only a part.
        bind("/proc", root + "/proc")
    changing = "sys sysrq-trigger irq bus fs acpi scsi driver dynamic_debug mtrr latency_stats"
    for path in [root + "/proc/" + name for name in changing.split()]:
        if os.path.exists(path):
            bind(path, path)
            seal(path)
    try:
        mount("sys", root + "/sys", "sysfs", RDONLY | NOSUID | NODEV | NOEXEC)
    except OSError:
        bind("/sys", root + "/sys")
        seal(root + "/sys")


def add_devices():
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        path = root + "/dev/" + name
        make_file(path)
        bind("/dev/" + name, path)
        # Writing to a device is no change of its node, but chmod(1) is, and the node is the machine's.
        seal(path)
    os.mkdir(root + "/dev/pts")
    options = "newinstance,ptmxmode=666,mode=620"
    try:
        mount("devpts", root + "/dev/pts", "devpts", NOSUID | NOEXEC, options + ",gid=5")
    except OSError:
        mount("devpts", root + "/dev/pts", "devpts", NOSUID | NOEXEC, options)
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd"}
    links.update({name: "/proc/self/fd/%d" % number for number, name in enumerate(("stdin", "stdout", "stderr"))})
    for name, target in links.items():
        os.symlink(target, root + "/dev/" + name)


def make_root():
    mount("root", root, "tmpfs", NOSUID | NODEV, "mode=755")
    for name in ("etc", "proc", "sys", "dev", "run", "var", "old", "tmp", "dev/shm", "nothing", "nothing/directory"):
        os.mkdir(root + "/" + name)
    make_file(root + "/nothing/file")
    for name in ("tmp", "dev/shm"):
        os.chmod(root + "/" + name, 0o1777)
    os.symlink("../tmp", root + "/var/tmp")
    add_proc()
    add_programs()
    add_devices()
    for path in view["readable"] + view["writable"]:
        os.makedirs(root + path, exist_ok=True)
        bind(path, root + path)
        if path in view["readable"]:
            seal(root + path)
    for name in view["programs"] + ["etc"]:
        if not os.path.islink(root + "/" + name):
            seal(root + "/" + name)
    os.chdir(root)
    call("pivot_root", ".", "old")
    call("umount2", "/old", DETACH)
    os.rmdir("/old")
    os.chdir(view["cwd"])


def map_ids(process):
    """All ids stay what they are."""
    for name in ("uid_map", "gid_map"):
        with open("/proc/self/" + name) as given:
            lines = [line.split() for line in given]
        with open("/proc/%d/%s" % (process, name), "w") as target:
            # One write for all lines, as the kernel wants it.
            for inside, _, count in lines:
                print(inside, inside, count, file=target)


def enter_user_namespace():
    process = os.getpid()
    waiting, made = os.pipe()
    helper = os.fork()
    if helper == 0:
        # It stays on the outside, where it may map.
        os.close(made)
        if os.read(waiting, 1):
            map_ids(process)
        os._exit(0)
    os.close(waiting)
    if libc.unshare(NEWUSER | NEWNS) == 0:
        os.write(made, b"m")
    elif ctypes.get_errno() not in (errno.EPERM, errno.ENOSPC, errno.EINVAL, errno.ENOSYS):
        raise OSError(ctypes.get_errno(), "unshare")
    # Else the kernel allows nobody a user namespace, and the rest has to do.
    os.close(made)
    if os.waitpid(helper, 0)[1] != 0:
        sys.exit("the ids of the user namespace could not be mapped")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


make_root()
try:
    socket.sethostname("localhost")
except OSError:
    pass
os.environ["TMPDIR"] = "/tmp"
enter_user_namespace()
try:
    os.execvp(command[0], command)
except OSError as error:
    sys.exit("%s: %s" % (command[0], error.strerror))
`;
