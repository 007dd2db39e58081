// systemd-tmpfiles(8) for packages' scripts in a tree that has no /proc: it does nothing without one, and what it makes is part of
// the image. Where nothing can be mounted, the scripts' calls are answered from outside of the tree, where there is a /proc, by the
// tree's own program with `--root`. So they leave what they leave in a tree in which everything is mounted.

/** Environment variable with the directory of the two named pipes; the set-up of the tree links them into it. */
const PIPES = 'IMAGE_BUILDER_TMPFILES';

/** The command that runs `argv` and answers meanwhile. @param pipes a directory of the tree's file system, which does not exist */
export const answeringTmpfiles = (tree: string, pipes: string, argv: readonly string[]): string[] => [
  ...['python3', '-ISc', ANSWER, tree, pipes],
  ...argv,
];

/** Shell lines that put what asks into `$tree`, from the outside; nothing where nobody answers. */
export const ASK_FOR_TMPFILES = `
if [ -n "\${${PIPES}-}" ]; then
  mkdir -p "$tree/run/image-builder/bin" "$tree/run/image-builder/tmpfiles"
  ln "$${PIPES}/calls" "$${PIPES}/answers" "$tree/run/image-builder/tmpfiles/"
  cat > "$tree/run/image-builder/bin/systemd-tmpfiles" <<'X'
#!/bin/sh
# Scripts that find no systemd-tmpfiles go on without it.
[ -x /usr/bin/systemd-tmpfiles ] || exit 0
set -eu
cd /run/image-builder/tmpfiles
printf '%s\\0' "$@" > arguments
echo > calls
read -r status < answers
exit "$status"
X
  chmod 755 "$tree/run/image-builder/bin/systemd-tmpfiles"
fi
`;

const ANSWER = `
import glob, os, subprocess, sys, threading

tree, pipes, command = sys.argv[1], sys.argv[2], sys.argv[3:]


def first(*patterns):
    return next(path for pattern in patterns for path in sorted(glob.glob(tree + pattern)))


def tmpfiles(arguments):
    # Not by the paths in the program: they mean the machine's own libraries.
    libraries = glob.glob(tree + "/usr/lib/*-linux-gnu*") + glob.glob(tree + "/lib/*-linux-gnu*")
    libraries += [path + "/systemd" for path in libraries] + [tree + "/usr/lib/systemd", tree + "/lib/systemd"]
    linker = first("/usr/lib/*-linux-gnu*/ld-linux-*.so.*", "/lib/*-linux-gnu*/ld-linux-*.so.*")
    program = [linker, "--inhibit-cache", "--library-path", ":".join(libraries), tree + "/usr/bin/systemd-tmpfiles"]
    return subprocess.run([*program, "--root=" + tree, *arguments], stdin=subprocess.DEVNULL, stdout=2).returncode


def answer():
    # For reading and writing: so that none of them ever ends.
    with open(pipes + "/calls", "r+b", 0) as calls, open(pipes + "/answers", "r+b", 0) as answers:
        while calls.read(1):
            try:
                with open(tree + "/run/image-builder/tmpfiles/arguments", "rb") as noted:
                    status = tmpfiles(noted.read().split(b"\\0")[:-1])
            except Exception as error:
                print("systemd-tmpfiles could not be started: %r" % error, file=sys.stderr, flush=True)
                status = 1
            answers.write(b"%d\\n" % abs(status))


os.mkdir(pipes)
for name in ("calls", "answers"):
    os.mkfifo(os.path.join(pipes, name))
# Killed with this process, as it would be if it stood in its place.
child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], env={**os.environ, "${PIPES}": pipes})
threading.Thread(target=answer, daemon=True).start()
status = child.wait()
sys.stderr.flush()
os._exit(status if status >= 0 else 128 - status)
`;
