"""What the renderer may use: some processor time, memory and output; no file, no process, no socket."""
import codecs
import contextlib
import math
import resource
import signal
import sys
import time

# Seconds of processor time for one template, and for all of them; a template takes about a millisecond.
TEMPLATE_SECONDS = 1
PROCESS_SECONDS = 5
TEMPLATES_IN_A_SECOND = 100
# Bytes of address space. The interpreter with its libraries takes about 50 MB of it.
MEMORY = 512 << 20
# Characters of one result, and characters and values of all.
TEXT = 16 << 20
TOTAL = 64 << 20
NUMBER_BITS = 4096
# Of text that is made bytes.
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1")
# Variables whose values refer to further variables, and lists in lists.
DEPTH = 60


class Refused(Exception):
    """A template that is not rendered. The message is for users: it names no value of a variable."""


class NotThere(Refused):
    """What it refers to does not exist; perhaps the text is not meant as a template."""


class OutOfTime(BaseException):
    """Not an Exception, so that nothing on the way up takes it for one of its own errors."""


# Audit events (PEP 578) of everything that a template has no business with, the escaped one least of all.
FORBIDDEN_EVENTS = (
    "import", "open", "os", "socket", "subprocess", "ctypes", "shutil", "tempfile", "glob", "mmap", "fcntl",
    "pty", "resource", "urllib", "http", "ftplib", "smtplib", "marshal", "pickle", "pathlib", "sqlite3", "gc",
)  # fmt: skip


def limit_memory():
    """For what is read and imported before the first template, too."""
    _lower(resource.RLIMIT_AS, MEMORY)


def lock_down(templates):
    """From here on nothing can be opened, imported, started or connected to; the kernel and the interpreter see to it."""
    seconds = time.process_time() + PROCESS_SECONDS + templates / TEMPLATES_IN_A_SECOND
    _lower(resource.RLIMIT_CPU, math.ceil(seconds))
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NPROC, 0)
    # Loaded when they are first used, otherwise. Jinja's strings need two of their own.
    for name in (*ENCODINGS, "ascii", "unicode-escape"):
        codecs.lookup(name)
    # Standard input, output and error are open; there is no fourth.
    _lower(resource.RLIMIT_NOFILE, 3)
    sys.addaudithook(_audit)


def _lower(kind, value):
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _audit(event, _arguments):
    if event.partition(".")[0] in FORBIDDEN_EVENTS:
        raise Refused("does what templates may not do")


def _out_of_time(_signal, _frame):
    raise OutOfTime


@contextlib.contextmanager
def processor_time():
    """The block ends with OutOfTime when it takes too long: processor time, so that a busy machine changes nothing."""
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, TEMPLATE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Budget:
    """Counts what is given back, over all templates."""

    def __init__(self):
        self.left = TOTAL

    def take(self, amount):
        self.left -= amount
        if self.left < 0:
            raise Refused(f"makes the results of all templates longer than {TOTAL >> 20} MiB")


def check_length(length):
    if length > TEXT:
        raise Refused(f"gives a text or list longer than {TEXT >> 20} MiB")


def check_number(value):
    """Integers stay short enough to be printed in no time; there is no JSON for infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused("gives a number that is none")
    if isinstance(value, int) and value.bit_length() > NUMBER_BITS:
        raise Refused(f"computes a number of more than {NUMBER_BITS} bits")
    return value
