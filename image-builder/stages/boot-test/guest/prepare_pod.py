"""Gives a node that is to run a Pod without a network what a cluster would have brought: prepare_pod.py IMAGE SUBNET.

IMAGE is made of the node's own programs (sh, sleep, cat). If the image of sandboxes (pause) is not there, sleep stands in
for it; and if no network is configured, a bridge of the plugins that are there is. Both are told as kubeadm tells warnings.
The runtime is CRI-O where it is installed, else containerd.
"""

import glob
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile

PROGRAMS = ["/bin/sh", "/bin/sleep", "/bin/cat"]
NETWORKS = "/etc/cni/net.d"
CTR = ["ctr", "--namespace", "k8s.io"]
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def main(image, subnet):
    runtime = Crio() if shutil.which("crio") else Containerd()
    known = runtime.images()
    layer = programs_layer()
    import_image(runtime, image, layer, ["/bin/sh"])
    sandbox = runtime.sandbox_image()
    if sandbox not in known:
        warn("Sandbox", f"{sandbox} is not in the image: a program of the node stands in for it")
        import_image(runtime, sandbox, layer, ["/bin/sleep", "infinity"])
    if not [name for kind in ("conf", "conflist", "json") for name in glob.glob(f"{NETWORKS}/*.{kind}")]:
        warn("Network", f"no network is configured in {NETWORKS}: the test has made a bridge")
        configure_network(subnet)


class Containerd:
    def images(self):
        return output(*CTR, "images", "list", "--quiet").split()

    def sandbox_image(self):
        # `sandbox` from containerd 2 on, below pinned_images.
        configuration = output("containerd", "config", "dump")
        found = re.search(r"""^\s*(?:sandbox_image|sandbox)\s*=\s*["']([^"']+)["']""", configuration, re.MULTILINE)
        if not found:
            sys.exit("containerd's configuration names no image of sandboxes")
        return found.group(1)

    def add(self, archive, _name):
        subprocess.run([*CTR, "images", "import", archive], stdout=subprocess.DEVNULL, check=True)


class Crio:
    def images(self):
        listed = json.loads(output("crictl", "images", "--output", "json"))["images"]
        return [name for one in listed for name in one["repoTags"] + one["repoDigests"]]

    def sandbox_image(self):
        return json.loads(output("crictl", "info", "--output", "json"))["config"]["sandboxImage"]

    def add(self, archive, name):
        # Nothing of CRI-O itself takes an image but from a registry.
        if not shutil.which("skopeo"):
            sys.exit("skopeo is not in the image, and no other program gives CRI-O an image: packages_append: [skopeo]")
        copy = ["skopeo", "copy", "--quiet", "--insecure-policy", f"oci-archive:{archive}", f"containers-storage:{name}"]
        subprocess.run(copy, check=True)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def warn(what, message):
    print(f"\t[WARNING {what}]: {message}", flush=True)


def programs_layer():
    """The programs with the libraries and the loader that they need, as a tar."""
    libraries = set(re.findall(r"(?:^|\s)(/\S+) \(0x", output("ldd", *PROGRAMS)))
    layer = io.BytesIO()
    # Links would lead to what is not among them.
    with tarfile.open(fileobj=layer, mode="w", dereference=True) as tar:
        for path in PROGRAMS + sorted(libraries):
            tar.add(path)
    return layer.getvalue()


def import_image(runtime, name, layer, command):
    """https://github.com/opencontainers/image-spec/blob/main/image-layout.md"""
    blobs = {}

    def blob(media_type, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image."
    descriptor = blob(oci + "layer.v1.tar", layer)
    system = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux"}
    rootfs = {"type": "layers", "diff_ids": [descriptor["digest"]]}
    config = blob(oci + "config.v1+json", {**system, "config": {"Entrypoint": command}, "rootfs": rootfs})
    manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": [descriptor]}
    described = blob(oci + "manifest.v1+json", manifest)
    described["annotations"] = {"io.containerd.image.name": name}
    index = {"schemaVersion": 2, "manifests": [described]}
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode(), **blobs}
    archive = "/run/image-builder-tests/image.tar"
    with tarfile.open(archive, "w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    runtime.add(archive, name)
    os.unlink(archive)


def configure_network(subnet):
    ranges = {"type": "host-local", "ranges": [[{"subnet": subnet}]]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipam": ranges}
    os.makedirs(NETWORKS, exist_ok=True)
    with open(f"{NETWORKS}/10-image-builder-test.conflist", "w", encoding="utf-8") as file:
        json.dump({"cniVersion": "1.0.0", "name": "test", "plugins": [bridge]}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
