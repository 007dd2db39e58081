#!/usr/bin/env python3
"""Makes the archives of this directory: one of each kind of header that is in use. Python's tarfile, GNU tar, fixed bytes."""
import gzip
import io
import os
import subprocess
import tarfile
import tempfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tar")


def keep(name, content):
    with open(os.path.join(HERE, f"{name}.tar.gz"), "wb") as file:
        file.write(gzip.compress(content, mtime=0))


def python(name, format, **options):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, **options) as tar:
        for path, type, size in (
            ("profiles", tarfile.DIRTYPE, 0),
            ("profiles/profile_a.json", tarfile.REGTYPE, 513),
            ("profiles/empty", tarfile.REGTYPE, 0),
            ("link", tarfile.SYMTYPE, 0),
            ("hard", tarfile.LNKTYPE, 0),
            ("fifo", tarfile.FIFOTYPE, 0),
            ("long/" + "d" * 60 + "/" + "n" * 90, tarfile.REGTYPE, 5),
        ):
            entry = tarfile.TarInfo(path)
            entry.type, entry.size = type, size
            entry.linkname = "profiles/profile_a.json" if type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            try:
                tar.addfile(entry, io.BytesIO(b"x" * size))
            except ValueError:  # ustar cannot say everything.
                pass
    keep(name, buffer.getvalue())


def gnu(name, *options):
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "sparse"), "wb") as file:
            for offset in (0, 1 << 16, 1 << 18):
                file.seek(offset)
                file.write(b"data" * 128)
            file.truncate((1 << 18) + 4096)
        with open(os.path.join(directory, "n" * 120), "wb") as file:
            file.write(b"long name")
        command = ["tar", "--create", "--sparse", "--owner=0", "--group=0", "--mtime=@0", "--sort=name", *options]
        keep(name, subprocess.run([*command, "-C", directory, "."], check=True, capture_output=True).stdout)


os.makedirs(HERE, exist_ok=True)
python("ustar", tarfile.USTAR_FORMAT)
python("gnu", tarfile.GNU_FORMAT)
python("pax", tarfile.PAX_FORMAT, pax_headers={"comment": "global"})
gnu("sparse-gnu", "--format=gnu")
for version in ("0.0", "0.1", "1.0"):
    gnu(f"sparse-pax-{version}", "--format=pax", f"--sparse-version={version}", "--pax-option=delete=atime,delete=ctime")
