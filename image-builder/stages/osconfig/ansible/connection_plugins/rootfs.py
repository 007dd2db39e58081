# Runs Ansible's modules in a root file system by chroot. The sandbox around Ansible has made the file systems in it
# (/dev, /proc, ...) and throws them away; nothing is mounted here.
#
# community.general has a chroot connection too, in a package of 258 MB; ansible-core has none.
import os
import shutil
import subprocess
import sys

from ansible.errors import AnsibleConnectionFailure, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.connection import ConnectionBase
from ansible.utils.path import unfrackpath

DOCUMENTATION = """
    name: rootfs
    short_description: Runs modules in a directory by chroot
    description: The host is the directory with the root file system; the caller is root of its namespaces.
    options:
      remote_addr:
        description: The directory.
        vars:
          - name: inventory_hostname
          - name: ansible_host
"""

# Changes the root directory and gives up the capabilities by which it could be left again.
ENTER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "enter.py")

# Nothing of the building machine's environment reaches the image but the proxies.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "PYTHONDONTWRITEBYTECODE": "1",
}
INHERITED = ["SOURCE_DATE_EPOCH", "TZ"] + [
    name
    for lower in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
    for name in (lower, lower.upper())
]


class Connection(ConnectionBase):
    transport = "rootfs"
    has_pipelining = True
    has_tty = False

    def _connect(self):
        super()._connect()
        self.tree = os.path.abspath(self.get_option("remote_addr"))
        if not os.path.isdir(self.tree):
            raise AnsibleConnectionFailure("%s is not a directory" % self.tree)
        self._connected = True
        return self

    def _chroot(self, argv, stdin):
        environment = dict(ENVIRONMENT)
        environment.update({name: os.environ[name] for name in INHERITED if name in os.environ})
        return subprocess.Popen(
            [sys.executable, "-IS", ENTER, self.tree] + argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def exec_command(self, cmd, in_data=None, sudoable=False):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        process = self._chroot(["/bin/sh", "-c", to_text(cmd)], subprocess.PIPE)
        stdout, stderr = process.communicate(in_data)
        return process.returncode, stdout, stderr

    def put_file(self, in_path, out_path):
        super().put_file(in_path, out_path)
        path = unfrackpath(out_path, basedir="/", follow=False)
        if not os.path.exists(to_bytes(in_path)):
            raise AnsibleFileNotFound("%s does not exist" % in_path)
        # By a process inside, so that a symbolic link cannot lead out of the tree.
        with open(to_bytes(in_path), "rb") as source:
            process = self._chroot(["/bin/sh", "-c", 'cat > "$0"', path], source)
            _stdout, stderr = process.communicate()
        if process.returncode != 0:
            raise AnsibleConnectionFailure("cannot write %s: %s" % (out_path, to_text(stderr)))

    def fetch_file(self, in_path, out_path):
        super().fetch_file(in_path, out_path)
        path = unfrackpath(in_path, basedir="/", follow=False)
        process = self._chroot(["cat", path], subprocess.DEVNULL)
        with open(to_bytes(out_path), "wb") as target:
            shutil.copyfileobj(process.stdout, target)
        if process.wait() != 0:
            raise AnsibleConnectionFailure("cannot read %s" % in_path)

    def close(self):
        super().close()
        self._connected = False
