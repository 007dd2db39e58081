#!/usr/bin/python3
# Makes many users, with their groups and SSH keys, in one task.
import os
import pwd
import grp

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rootfs_users
short_description: Makes many user accounts at once
options:
  users:
    description: >-
      List of {name, state, uid, group, groups, shell, home, comment, system, password_hash, password_lock,
      ssh_authorized_keys}. A user without a password_hash cannot log in with a password.
"""


# Ansible takes what is marked here out of everything that it prints, and leaves the reason of a failure in.
OPTIONS = {
    "name": {"required": True},
    "state": {"default": "present"},
    "uid": {},
    "group": {},
    "groups": {"type": "list", "elements": "str", "default": []},
    "shell": {},
    "home": {},
    "comment": {},
    "system": {"type": "bool", "default": False},
    "password_hash": {"no_log": True},
    "password_lock": {"type": "bool", "no_log": False},
    "ssh_authorized_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "run_contexts": {"type": "list", "elements": "str"},
}


def exists(lookup, name):
    try:
        lookup(name)
        return True
    except KeyError:
        return False


class Users:
    def __init__(self, module):
        self.module = module

    def run(self, *argv, **options):
        # A password hash is given on standard input, never on a command line.
        status, _output, complaint = self.module.run_command(list(argv), **options)
        if status != 0:
            reason = complaint.strip() or "%s failed" % argv[0]
            if argv[0] == "useradd" and "-g" in reason and exists(grp.getgrnam, self.name):
                reason = "there is a group of this name; give the user group: %s to make it its own" % self.name
            self.module.fail_json(msg="user %s: %s" % (self.name, reason))

    def groups(self, user):
        # Numeric ids are taken as they are.
        wanted = ([user["group"]] if user.get("group") else []) + user.get("groups", [])
        for group in wanted:
            if not str(group).isdigit() and not exists(grp.getgrnam, group):
                self.run("groupadd", *(["--system"] if user.get("system") else []), group)

    def present(self, user):
        name = self.name = user["name"]
        self.groups(user)
        options = []
        for option, value in (
            ("--uid", user.get("uid")),
            ("--gid", user.get("group")),
            ("--shell", user.get("shell")),
            ("--comment", user.get("comment")),
        ):
            if value is not None:
                options += [option, str(value)]
        if user.get("groups"):
            options += ["--groups", ",".join(user["groups"])]
        home = ["--home-dir" if not exists(pwd.getpwnam, name) else "--home", user["home"]] if user.get("home") else []
        if exists(pwd.getpwnam, name):
            append = ["--append"] if user.get("groups") else []
            if options or home:
                self.run("usermod", *append, *options, *home, name)
        else:
            system = ["--system"] if user.get("system") else []
            self.run("useradd", "--create-home", *system, *options, *home, name)
        if user.get("password_hash"):
            self.run("chpasswd", "--encrypted", data="%s:%s" % (name, user["password_hash"]))
        if user.get("password_lock"):
            self.run("usermod", "--lock", name)
        if user.get("ssh_authorized_keys"):
            self.authorize(name, user["ssh_authorized_keys"])

    def authorize(self, name, keys):
        account = pwd.getpwnam(name)
        directory = os.path.join(account.pw_dir, ".ssh")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        path = os.path.join(directory, "authorized_keys")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as target:
            target.write("".join("%s\n" % key.strip() for key in keys))
        for entry in (directory, path):
            os.chown(entry, account.pw_uid, account.pw_gid)

    def absent(self, user):
        self.name = user["name"]
        if exists(pwd.getpwnam, user["name"]):
            self.run("userdel", user["name"])


def main():
    module = AnsibleModule(
        argument_spec={"users": {"type": "list", "elements": "dict", "required": True, "options": OPTIONS}}
    )
    users = Users(module)
    for user in module.params["users"]:
        (users.absent if user["state"] == "absent" else users.present)(user)
    module.exit_json(changed=bool(module.params["users"]))


if __name__ == "__main__":
    main()
