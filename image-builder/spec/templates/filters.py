"""Filters and tests that people know from Ansible, as far as they only compute; by the names and arguments there."""
import base64
import hashlib
import json
import re
import shlex
from posixpath import basename, dirname, splitext

from jinja2 import Undefined
from limits import ENCODINGS, Refused

try:
    import yaml
except ImportError:  # Only wanted by the filters that read and write YAML.
    yaml = None

HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
TRUE_WORDS = ("yes", "on", "1", "true")
# OpenSSL reads its configuration with the first hash, which is not possible any more once templates are rendered.
for _name in HASHES:
    hashlib.new(_name, usedforsecurity=False)


def mandatory(value, message=None):
    """The message stays out: it may be made of values."""
    if isinstance(value, Undefined):
        str(value)
    return value


def to_bool(value):
    if value is None or isinstance(value, bool):
        return value
    return str(value).lower() in TRUE_WORDS


def ternary(value, true_value, false_value, none_value=None):
    if value is None and none_value is not None:
        return none_value
    return true_value if bool(value) else false_value


def split(value, separator=None, maxsplit=-1):
    return value.split(separator, maxsplit)


def _flags(ignorecase, multiline):
    return (re.I if ignorecase else 0) | (re.M if multiline else 0)


def regex_replace(value="", pattern="", replacement="", ignorecase=False, multiline=False):
    return re.sub(pattern, replacement, str(value), flags=_flags(ignorecase, multiline))


def regex_search(value, pattern, *groups, ignorecase=False, multiline=False):
    match = re.search(pattern, str(value), _flags(ignorecase, multiline))
    if not match:
        return None
    if not groups:
        return match.group()
    numbers = [re.fullmatch(r"\\(?:(\d+)|g<(\w+)>)", group) for group in groups]
    return [match.group(int(number[1]) if number[1] else number[2]) for number in numbers]


def regex_findall(value, pattern, multiline=False, ignorecase=False):
    return re.findall(pattern, str(value), _flags(ignorecase, multiline))


def combine(*maps, recursive=False, list_merge="replace"):
    merged = {}
    for one in _flat(maps, None):
        merged = _merge(merged, dict(one), recursive, list_merge)
    return merged


def _merge(below, above, recursive, list_merge):
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if recursive and isinstance(under, dict) and isinstance(value, dict):
            merged[key] = _merge(under, value, recursive, list_merge)
        elif isinstance(under, list) and isinstance(value, list):
            merged[key] = LIST_MERGES[list_merge](under, value)
        else:
            merged[key] = value
    return merged


LIST_MERGES = {
    "replace": lambda under, value: value,
    "keep": lambda under, value: under,
    "append": lambda under, value: under + value,
    "prepend": lambda under, value: value + under,
    "append_rp": lambda under, value: difference(under, value) + value,
    "prepend_rp": lambda under, value: value + difference(under, value),
}


def dict2items(value, key_name="key", value_name="value"):
    return [{key_name: key, value_name: item} for key, item in value.items()]


def items2dict(value, key_name="key", value_name="value"):
    return {item[key_name]: item[value_name] for item in value}


def to_json(value, indent=None, sort_keys=False, ensure_ascii=True):
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=ensure_ascii, default=_not_data)


def to_nice_json(value, indent=4, sort_keys=True, ensure_ascii=True):
    return to_json(value, indent, sort_keys, ensure_ascii)


def _not_data(value):
    if isinstance(value, Undefined):
        str(value)
    raise TypeError


def to_yaml(value, indent=None, width=None, sort_keys=True, default_flow_style=None):
    _require_yaml()
    options = {"indent": indent, "width": width, "sort_keys": sort_keys, "default_flow_style": default_flow_style}
    # By way of JSON, which makes plain values of everything.
    return yaml.safe_dump(json.loads(to_json(value)), allow_unicode=True, **options)


def to_nice_yaml(value, indent=4, width=None, sort_keys=True):
    return to_yaml(value, indent, width, sort_keys, default_flow_style=False)


def from_yaml(value):
    _require_yaml()
    return yaml.safe_load(value)


def _require_yaml():
    if yaml is None:
        raise Refused("needs the Debian package python3-yaml")


def b64encode(value, encoding="utf-8"):
    return base64.b64encode(str(value).encode(_known(encoding))).decode("ascii")


def b64decode(value, encoding="utf-8"):
    return base64.b64decode(value).decode(_known(encoding))


def _known(encoding):
    if encoding not in ENCODINGS:
        raise Refused(f"can encode by {', '.join(ENCODINGS)} only")
    return encoding


def get_hash(value, hashtype="sha1"):
    if hashtype not in HASHES:
        raise Refused(f"can hash by {', '.join(HASHES)} only")
    return hashlib.new(hashtype, str(value).encode(), usedforsecurity=False).hexdigest()


def quote(value):
    return shlex.quote("" if value is None else str(value))


def unique(value):
    return _once(value)


def _once(values):
    """In their order. By their JSON, since lists and maps cannot be members of a set."""
    known = {json.dumps(value, sort_keys=True, default=_not_data): value for value in reversed(list(values))}
    return list(reversed(known.values()))


def union(a, b):
    return _once(list(a) + list(b))


def intersect(a, b):
    return [value for value in _once(a) if value in b]


def difference(a, b):
    return [value for value in _once(a) if value not in b]


def symmetric_difference(a, b):
    return difference(union(a, b), intersect(a, b))


def flatten(value, levels=None, skip_nulls=True):
    return [item for item in _flat(value, levels) if not (skip_nulls and item in (None, "None", "null"))]


def _flat(values, levels):
    for value in values:
        if isinstance(value, (list, tuple)) and levels != 0:
            yield from _flat(value, None if levels is None else levels - 1)
        else:
            yield value


def zip_lists(first, *others):
    return [list(items) for items in zip(first, *others)]


def splitext_list(value):
    return list(splitext(value))


def _version(text):
    """A version as numbers and words in turn, so that like is compared with like."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.findall(r"\d+|[a-z]+", text.lower())]


COMPARISONS = {
    **dict.fromkeys(("==", "=", "eq"), lambda a, b: a == b),
    **dict.fromkeys(("!=", "<>", "ne"), lambda a, b: a != b),
    **dict.fromkeys(("<", "lt"), lambda a, b: a < b),
    **dict.fromkeys(("<=", "le"), lambda a, b: a <= b),
    **dict.fromkeys((">", "gt"), lambda a, b: a > b),
    **dict.fromkeys((">=", "ge"), lambda a, b: a >= b),
}


def version(value, other, operator="eq"):
    return COMPARISONS[operator](_version(str(value)), _version(str(other)))


def is_match(value, pattern, ignorecase=False, multiline=False):
    return bool(re.match(pattern, str(value), _flags(ignorecase, multiline)))


def is_search(value, pattern, ignorecase=False, multiline=False):
    return bool(re.search(pattern, str(value), _flags(ignorecase, multiline)))


def contains(value, item):
    return item in value


ANSIBLE_FILTERS = {
    "b64decode": b64decode, "b64encode": b64encode, "basename": basename, "bool": to_bool, "combine": combine,
    "dict2items": dict2items, "difference": difference, "dirname": dirname, "flatten": flatten,
    "from_json": json.loads, "from_yaml": from_yaml, "hash": get_hash, "intersect": intersect,
    "items2dict": items2dict, "mandatory": mandatory, "quote": quote, "regex_escape": re.escape,
    "regex_findall": regex_findall, "regex_replace": regex_replace, "regex_search": regex_search, "split": split,
    "splitext": splitext_list, "symmetric_difference": symmetric_difference, "ternary": ternary,
    "to_json": to_json, "to_nice_json": to_nice_json, "to_nice_yaml": to_nice_yaml, "to_yaml": to_yaml,
    "union": union, "unique": unique, "zip": zip_lists,
}  # fmt: skip

ANSIBLE_TESTS = {
    "all": all, "any": any, "contains": contains, "falsy": lambda value: not value, "match": is_match,
    "regex": is_search, "search": is_search, "subset": lambda a, b: set(a) <= set(b),
    "superset": lambda a, b: set(a) >= set(b), "truthy": bool, "version": version, "version_compare": version,
}  # fmt: skip
