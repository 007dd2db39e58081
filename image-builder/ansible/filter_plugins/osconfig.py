# Filters of the role osconfig.


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


class FilterModule:
    def filters(self):
        return {"unit_files": unit_files}
