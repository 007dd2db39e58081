"""Archives as Python's tarfile writes them, and what it reads in them: a line of JSON for each."""
import base64
import hashlib
import io
import json
import random
import sys
import tarfile

LETTERS = "abcXYZ09._- éü/ß"
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
TYPES = {
    tarfile.REGTYPE: "file", tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink",
    tarfile.FIFOTYPE: "other", tarfile.CHRTYPE: "other", tarfile.BLKTYPE: "other",
}  # fmt: skip


def any_name(choices):
    length = choices.choice([3, 20, 99, 100, 101, 155, 200, 300])
    name = "".join(choices.choice(LETTERS) for _ in range(length)).strip("/")
    while "//" in name or "/./" in name:
        name = name.replace("//", "/").replace("/./", "/")
    return name or "x"


def write(choices):
    buffer = io.BytesIO()
    format = choices.choice(FORMATS)
    headers = {"comment": "x"} if format == tarfile.PAX_FORMAT and choices.random() < 0.2 else None
    with tarfile.open(fileobj=buffer, mode="w", format=format, pax_headers=headers) as tar:
        for _ in range(choices.randint(1, 6)):
            entry = tarfile.TarInfo(any_name(choices))
            entry.type = choices.choice([tarfile.REGTYPE] * 6 + list(TYPES))
            if format != tarfile.USTAR_FORMAT:
                entry.mtime, entry.uid = choices.choice([0, 1.5, 2**33]), choices.choice([0, 1000, 2**22])
            content = b""
            if entry.type == tarfile.REGTYPE:
                content = choices.randbytes(choices.choice([0, 1, 511, 512, 513, 3000]))
            if entry.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                entry.linkname = any_name(choices)
            entry.size = len(content)
            try:
                tar.addfile(entry, io.BytesIO(content))
            except ValueError:  # ustar cannot say everything.
                pass
    return buffer.getvalue()


def read(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for entry in tar:
            kind = TYPES[entry.type]
            read = {"path": entry.name, "type": kind, "size": entry.size if kind == "file" else 0}
            if kind in ("symlink", "hardlink"):
                read["link"] = entry.linkname
            if kind == "file":
                read["sha1"] = hashlib.sha1(tar.extractfile(entry).read()).hexdigest()
            yield read


choices = random.Random(int(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    archive = write(choices)
    print(json.dumps({"tar": base64.b64encode(archive).decode(), "entries": list(read(archive))}))
