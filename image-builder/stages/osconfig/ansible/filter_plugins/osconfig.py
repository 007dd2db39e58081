# Filters of the role osconfig.
import re


def due_settings(settings, changes):
    """The settings whose files are written: all, or those `of` a variable that is among the changes."""
    if changes is None:
        return settings
    return [setting for setting in settings if any(covers(setting.get("of", ""), change) for change in changes)]


def covers(variable, change):
    return change == variable or change.startswith(variable + ".")


def command_line(arguments):
    """Arguments of a program as systemd splits an unquoted $VARIABLE (systemd.service(5), Command Lines)."""
    return " ".join(command_line_word(option(argument)) for argument in arguments)


def option(argument):
    name = argument["name"]
    name = name if name.startswith("-") else "--" + name
    return "%s=%s" % (name, argument["value"]) if "value" in argument else name


def command_line_word(word):
    return '"%s"' % escaped(word, '\\"') if re.search(r"[\s\"'\\]", word) else word


def shell_quoted(text):
    """Text between double quotes of a shell, which is also what systemd reads as an EnvironmentFile."""
    return '"%s"' % escaped(text, '\\"$`')


def unit_quoted(text):
    """A word of a systemd unit: between double quotes, without specifiers (systemd.syntax(7), systemd.unit(5))."""
    return '"%s"' % escaped(text, '\\"').replace("%", "%%")


def escaped(text, characters):
    return "".join("\\" + character if character in characters else character for character in text)


def unit_files(units):
    """The files of systemd units: whole units, and drop-ins that add to a unit."""
    files = []
    for unit in units:
        whole = "file_content" in unit
        if whole:
            name = unit.get("file_name", unit["name"])
            files.append({"name": "/etc/systemd/system/" + name, "file_content": unit["file_content"]})
        if "override" in unit:
            name = "override.conf" if whole else unit.get("file_name", "override.conf")
            path = "/etc/systemd/system/%s.d/%s" % (unit["name"], name)
            files.append({"name": path, "file_content": unit["override"]})
    return files


def except_units(links, units):
    """The links of units that are not among `units`."""
    names = {unit["name"] for unit in units}
    return [link for link in links if link["name"].rpartition("/")[2] not in names]


class FilterModule:
    def filters(self):
        return {
            "command_line": command_line,
            "due_settings": due_settings,
            "except_units": except_units,
            "shell_quoted": shell_quoted,
            "unit_files": unit_files,
            "unit_quoted": unit_quoted,
        }
