// Starts a program in a root file system tree. What runs there is the image's own, so it gets the capabilities that
// container engines give, without those by which a chroot can be left, and can get no others.

/**
 * The command that starts `argv` in `tree`; python3 is on the outside.
 * @returns for a sandbox
 */
export const enterTree = (tree: string, argv: readonly string[]): string[] => [
  'python3',
  '-ISc',
  ENTER_TREE,
  tree,
  ...argv,
];

/** The program behind it, in Python: arguments are the tree and the command. Numbers of linux/capability.h, linux/prctl.h. */
export const ENTER_TREE = `
import ctypes, os, sys
# What execvp would import when Python's own files can no longer be seen.
import warnings
CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8,
    "NET_BIND_SERVICE": 10, "NET_RAW": 13, "AUDIT_WRITE": 29, "SETFCAP": 31,
}
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
prctl = ctypes.CDLL(None, use_errno=True).prctl
os.chroot(sys.argv[1])
os.chdir("/")
for number in range(64):
    if number not in CAPABILITIES.values() and prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1:
        if prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            sys.exit("cannot drop a capability: " + os.strerror(ctypes.get_errno()))
if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
    sys.exit("cannot give up new privileges: " + os.strerror(ctypes.get_errno()))
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[2], error.strerror))
`;
