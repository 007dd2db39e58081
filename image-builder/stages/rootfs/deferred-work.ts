// Work that packages start one by one, and that is done once for all of them when they are installed: byte-compiling Python and
// making the list of certificates. In the packages' scripts each call starts two Pythons for a few files, and the list is made
// twice, while the other processors wait.
//
// Programs in the tree stand for the real ones while dpkg runs, and note how they were called. Host keys of SSH are not made at
// all: each node makes its own.

/** PATH of packages' scripts (`DPkg::Path` of apt.conf(5)); what it begins with is there while packages are installed. */
export const PACKAGE_PATH = '/run/image-builder/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Shell lines that put the programs into `$tree`, from the outside. */
export const DEFER = `
mkdir -p "$tree/run/image-builder/bin" "$tree/run/image-builder/calls"
for name in py3compile update-ca-certificates; do
  cat > "$tree/run/image-builder/bin/$name" <<'X'
#!/bin/sh
set -eu
cd /run/image-builder/calls
printf '%s\\0' "\${0##*/}" "$@" > "$(ls | wc -l)"
X
  chmod 755 "$tree/run/image-builder/bin/$name"
done
cat > "$tree/run/image-builder/bin/ssh-keygen" <<'X'
#!/bin/sh
case " $* " in *" -f /etc/ssh/ssh_host_"*) exit 0 ;; esac
exec /usr/bin/ssh-keygen "$@"
X
chmod 755 "$tree/run/image-builder/bin/ssh-keygen"
`;

/**
 * Shell script that does what was noted, in the tree. A call that fails is a failure of the whole, as it would have been one of
 * its package.
 */
export const RUN_DEFERRED = `
set -eu
cd /run/image-builder/calls
certificates=
if grep -qsz '^update-ca-certificates$' *; then
  fresh=
  if grep -qsz '^--fresh$' *; then fresh=--fresh; fi
  update-ca-certificates $fresh &
  certificates=$!
fi
if grep -qsz '^py3compile$' * && [ -x /usr/bin/py3compile ]; then python3 -I - /run/image-builder/calls/* <<'X'
import importlib.machinery, importlib.util, os, subprocess, sys

sys.dont_write_bytecode = True
PROGRAM = "/usr/bin/py3compile"
calls = []
for path in sorted(sys.argv[1:], key=lambda path: int(os.path.basename(path))):
    with open(path, "rb") as noted:
        name, *arguments = os.fsdecode(noted.read()).split("\\0")[:-1]
    if name == "py3compile" and arguments not in calls:
        calls.append(arguments)


class Compilers:
    """Interpreters of one version that compile what they read the names of, one for each processor."""

    def __init__(self, command):
        count = len(os.sched_getaffinity(0))
        self.processes = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(count)]
        self.turn = 0

    def send(self, name):
        self.processes[self.turn % len(self.processes)].stdin.write(name + "\\n")
        self.turn += 1

    def finish(self):
        for process in self.processes:
            process.stdin.close()
        return any([process.wait() != 0 for process in self.processes])


def compile_together():
    """py3compile's own choice of files and versions for every call, with compilers that all calls share."""
    loader = importlib.machinery.SourceFileLoader("py3compile", PROGRAM)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("py3compile", loader))
    loader.exec_module(module)
    compilers = {}

    def compiler(version, optimize, workers):
        version = version if isinstance(version, str) else module.vrepr(version)
        command = ("/usr/bin/python" + version, *(["-O"] if optimize else []), "-m", "py_compile", "-")
        shared = compilers.get(command) or compilers.setdefault(command, Compilers(command))
        while True:
            shared.send((yield))

    module.py_compile = compiler
    failed = False
    for arguments in calls:
        module.STDINS.clear()
        sys.argv = [PROGRAM, *arguments]
        try:
            module.main()
        except SystemExit as end:
            failed = failed or bool(end.code)
    return any([shared.finish() for shared in compilers.values()]) or failed


try:
    failed = compile_together()
except Exception as error:
    # Another version of it, which is written in another way.
    print("byte-compile package by package: %r" % error, file=sys.stderr)
    failed = any([subprocess.run([PROGRAM, *arguments]).returncode != 0 for arguments in calls])
sys.exit(failed)
X
fi
[ -z "$certificates" ] || wait "$certificates"
cd /
rm -rf /run/image-builder
`;
