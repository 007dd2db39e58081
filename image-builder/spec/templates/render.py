"""Renders templates of variables: a request in JSON on standard input, a line of JSON for each template on output.

Request: {"images": [{"variables": {name: value}, "templates": [text, ...]}, ...]}
Answer: {"value": ...} or {"reason": text, "line": number of the template's line, "literal": whether the text may not be
meant as a template}, in the order of the request.
"""
import json
import os
import sys

from environment import Sandbox
from jinja2 import TemplateSyntaxError, nodes
from jinja2.runtime import Undefined
from limits import DEPTH, Budget, NotThere, OutOfTime, Refused, check_length, check_number, limit_memory, lock_down, processor_time

MARKERS = ("{{", "{%")
# JSON's numbers are read as floating point by some.
EXACT = 2**53 - 1


class Store:
    """The variables of one image. Each value is rendered when a template first refers to it."""

    def __init__(self, variables, budget):
        self._variables = variables
        self._values = {}
        self._active = []
        self._budget = budget
        self.environment = Sandbox(self)

    def __contains__(self, name):
        return name in self._variables

    def value(self, name):
        if name in self._values:
            return self._values[name]
        if name in self._active:
            raise Refused(f"refers to the variable {name}, which refers to itself")
        if len(self._active) > DEPTH:
            raise Refused("refers to variables that refer to others, too many times in a row")
        self._active.append(name)
        try:
            self._values[name] = self._resolved(self._variables[name])
        finally:
            self._active.pop()
        return self._values[name]

    def _resolved(self, value):
        if isinstance(value, str):
            return self.render(value)
        if isinstance(value, dict):
            return {key: self._resolved(item) for key, item in value.items()}
        return [self._resolved(item) for item in value] if isinstance(value, list) else value

    def render(self, source):
        """A text that is one expression gives the expression's value, everything else gives text."""
        if not any(marker in source for marker in MARKERS):
            return source
        tree = self.environment.checked(source)
        expression = sole_expression(tree)
        if expression is None:
            text = self._text(self.environment.from_string(tree))
            # A line break after a statement goes, but not the one that ends the text.
            missing = trailing_newlines(source) - trailing_newlines(text)
            return typed(text + "\n" * missing)
        value = plain(self._value(expression), self._budget)
        # As Ansible has it: a variable keeps its type, a number that was computed is text.
        computed = isinstance(value, (int, float)) and not isinstance(value, bool)
        if isinstance(value, str) or (computed and not isinstance(expression, nodes.Name)):
            start, end = len(source) - len(source.lstrip()), len(source.rstrip())
            return source[:start] + str(value) + source[end:]
        return value

    def _value(self, expression):
        assignment = nodes.Assign(nodes.Name("result", "store"), expression, lineno=1)
        template = self.environment.from_string(nodes.Template([assignment], lineno=1))
        context = template.new_context()
        for _ in template.root_render_func(context):
            pass
        return context.vars["result"]

    def _text(self, template):
        pieces, length = [], 0
        for piece in template.root_render_func(template.new_context()):
            length += len(piece)
            check_length(length)
            self._budget.take(len(piece))
            pieces.append(piece)
        return "".join(pieces)

    def printable(self, value):
        """What stands between {{ and }} as text."""
        if value is None:
            return ""
        return value if isinstance(value, str) else plain(value, self._budget)


def trailing_newlines(text):
    return len(text) - len(text.rstrip("\n"))


def sole_expression(tree):
    """The expression of a text that has nothing else but white space around it."""
    outputs = [output.nodes if isinstance(output, nodes.Output) else [output] for output in tree.body]
    parts = [part for output in outputs for part in output]
    shown = [part for part in parts if not (isinstance(part, nodes.TemplateData) and part.data.isspace())]
    is_sole = len(shown) == 1 and isinstance(shown[0], nodes.Expr) and not isinstance(shown[0], nodes.TemplateData)
    return shown[0] if is_sole else None


def typed(text):
    """As Ansible has it: a switch that a statement has made is one."""
    return {"True": True, "False": False}.get(text, text)


def plain(value, budget, depth=0):
    """Text, numbers, lists and maps that JSON can carry; the budget counts, since parts may occur many times."""
    if depth > DEPTH:
        raise Refused("gives lists or maps that are nested too deeply")
    budget.take(1)
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, str):
        check_length(len(value))
        budget.take(len(value))
        return str(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        check_number(value)
        return str(value) if isinstance(value, int) and abs(value) > EXACT else value
    if isinstance(value, dict):
        return {plain(str(key), budget): plain(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, range)) or type(value).__name__ in ("dict_keys", "dict_values", "dict_items"):
        return [plain(item, budget, depth + 1) for item in value]
    raise Refused("gives something that is neither text nor number, list or map")


def answer(store, source):
    try:
        with processor_time():
            return {"value": store.render(source)}
    except TemplateSyntaxError as error:
        # Jinja's message quotes the text, which may be anything: a shell script with a password after {{.
        return {"reason": "is not a valid template", "line": error.lineno, "literal": True}
    except Refused as refused:
        return {"reason": str(refused), "literal": isinstance(refused, NotThere)}
    except OutOfTime:
        return {"reason": "takes too long to render"}
    except MemoryError:
        return {"reason": "takes too much memory to render"}
    except RecursionError:
        return {"reason": "is nested too deeply"}
    except Exception:  # noqa: BLE001 - whose message may quote values
        return {"reason": "cannot be computed"}


# What is not loaded yet when the first template is rendered cannot be any more. Versions of Jinja and Python differ in what
# they load late: for a text with an escape, for a statement, for an error.
WARM_UP = (
    "{% for x in [1] if x is odd %}{{ loop.index ~ '\\u00e9' | upper }}{% endfor %}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{% set n = namespace(b=[1]) %}{{ m('x' * 2) }}{{ n.b | map('string') | join }}",
    "{{ {'a': 1.5} | to_json }}{{ 'a' | regex_replace('a', 'b') }}",
    "{{ nothing }}",
    "{{ 1 + 'a' }}",
    "{{",
)


def warm_up():
    store = Store({}, Budget())
    for source in WARM_UP:
        answer(store, source)


def main():
    limit_memory()
    request = json.load(sys.stdin)
    warm_up()
    lock_down(sum(len(image["templates"]) for image in request["images"]))
    budget = Budget()
    for image in request["images"]:
        store = Store(image["variables"], budget)
        for source in image["templates"]:
            print(json.dumps(answer(store, source)), flush=True)
    os._exit(0)


main()
