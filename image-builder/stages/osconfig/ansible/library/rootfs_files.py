#!/usr/bin/python3
# Makes many directories and files, and sets owners and modes, in one task: a loop over Ansible's own modules would
# start Python once for each of them.
import grp
import os
import pwd
import stat
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rootfs_files
short_description: Makes many directories and files at once
options:
  directories:
    description: >-
      List of {name, owner, group, permissions}; parents are made as needed. Permissions are octal, or symbolic: then
      they change those that a path has, or would have by default.
  files:
    description: >-
      List of {name, file_content, owner, group, permissions}. A file is replaced as a whole; a symbolic link in its
      place is replaced, not followed. With if_exists: only when that path exists. Owner and mode are root and 0644
      unless given.
  absent:
    description: Paths that are removed.
  emptied:
    description: Directories whose files are removed, when they exist.
  links:
    description: >-
      List of {name, target}; with if_exists only when that path exists, with unless_exists when that one does not.
      What is in the place of a link to /dev/null is replaced, everything else stays.
  file_permissions:
    description: List of {name, owner, group, permissions, recurse} for paths that exist.
"""


FILE_DEFAULTS = {"owner": "root", "group": "root", "permissions": "0644"}


def user_id(name):
    return int(name) if str(name).isdigit() else pwd.getpwnam(name).pw_uid


def group_id(name):
    return int(name) if str(name).isdigit() else grp.getgrnam(name).gr_gid


def set_owner(path, item):
    owner = user_id(item["owner"]) if item.get("owner") else -1
    group = group_id(item["group"]) if item.get("group") else -1
    found = os.lstat(path)
    if owner in (-1, found.st_uid) and group in (-1, found.st_gid):
        return False
    os.chown(path, owner, group, follow_symlinks=False)
    return True


def set_mode(module, path, item):
    if not item.get("permissions") or os.path.islink(path):
        return False
    # Octal or symbolic, as the modules that come with Ansible read it.
    return module.set_mode_if_different(path, item["permissions"], False, expand=False)


def set_ownership(module, path, item):
    # The owner first: changing it takes set-user-id bits away.
    owner = set_owner(path, item)
    return set_mode(module, path, item) or owner


def make_directory(module, item):
    created = not os.path.isdir(item["name"])
    os.makedirs(item["name"], mode=0o755, exist_ok=True)
    return set_ownership(module, item["name"], item) or created


def make_file(module, item):
    if item.get("if_exists") and not os.path.lexists(item["if_exists"]):
        return False
    item = dict(FILE_DEFAULTS, **item)
    path = item["name"]
    content = item["file_content"].encode("utf-8")
    mode = int(FILE_DEFAULTS["permissions"], 8)
    if os.path.isfile(path) and not os.path.islink(path):
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        with open(path, "rb") as existing:
            if existing.read() == content:
                return set_ownership(module, path, item)
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
        os.chmod(temporary, mode)
        set_ownership(module, temporary, item)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    return True


def remove(_module, path):
    if not os.path.lexists(path):
        return False
    os.unlink(path)
    return True


def empty(_module, path):
    if not os.path.isdir(path):
        return False
    files = [entry.path for entry in os.scandir(path) if not entry.is_dir(follow_symlinks=False)]
    for file in files:
        os.unlink(file)
    return bool(files)


def make_link(module, item):
    path = item["name"]
    if item.get("if_exists") and not os.path.lexists(item["if_exists"]):
        return False
    if item.get("unless_exists") and os.path.lexists(item["unless_exists"]):
        return False
    if os.path.lexists(path) and item["target"] != os.devnull:
        return False
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    remove(module, path)
    os.symlink(item["target"], path)
    return True


def change_permissions(module, item):
    path = item["name"]
    changed = set_ownership(module, path, item)
    if item.get("recurse"):
        for directory, subdirectories, files in os.walk(path):
            for name in subdirectories + files:
                changed = set_ownership(module, os.path.join(directory, name), item) or changed
    return changed


STEPS = [
    ("absent", remove),
    ("emptied", empty),
    ("directories", make_directory),
    ("links", make_link),
    ("files", make_file),
    ("file_permissions", change_permissions),
]


def main():
    module = AnsibleModule(
        argument_spec={name: {"type": "list", "elements": "raw", "default": []} for name, _ in STEPS}
    )
    changed = []
    for parameter, action in STEPS:
        for item in module.params[parameter]:
            name = item if isinstance(item, str) else item["name"]
            try:
                if action(module, item):
                    changed.append(name)
            except (OSError, KeyError, ValueError) as error:
                module.fail_json(msg="%s: %s: %s" % (parameter, name, error))
    module.exit_json(changed=bool(changed), paths=changed)


if __name__ == "__main__":
    main()
