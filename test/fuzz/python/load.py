"""A list of YAML texts on standard input, as JSON; what PyYAML reads in them on standard output, as JSON."""
import json
import sys

import yaml

loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
json.dump([yaml.load(text, loader) for text in json.load(sys.stdin)], sys.stdout)
