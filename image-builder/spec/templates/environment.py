"""Jinja's sandbox, made smaller: what is not named here is not there. Values of variables are rendered when needed."""
import functools
import jinja2.debug  # Imported on the first error otherwise, when nothing can be imported any more.
from filters import ANSIBLE_FILTERS, ANSIBLE_TESTS
from jinja2 import StrictUndefined, nodes
from jinja2.defaults import DEFAULT_FILTERS, DEFAULT_TESTS
from jinja2.runtime import Context, LoopContext, Macro, Undefined, missing
from jinja2.sandbox import SandboxedEnvironment, safe_range
from jinja2.utils import Namespace
from limits import DEPTH, NUMBER_BITS, NotThere, Refused, check_length, check_number

# The words of each of these lists are documented in docs/reference/variables.md.
FILTERS = (
    "abs batch capitalize d default dictsort first float format indent int items join last length count list lower "
    "map max min reject rejectattr replace reverse round select selectattr slice sort string sum title trim upper"
).split()
TESTS = (
    "boolean defined divisibleby eq equalto == even false float ge greaterthan > >= gt in integer iterable le lessthan "
    "< <= lower lt mapping ne != none number odd sequence string true undefined upper"
).split()
METHODS = {
    str: (
        "capitalize count endswith find index isalnum isalpha isdigit islower isspace isupper join ljust lower lstrip "
        "partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines "
        "startswith strip swapcase title upper zfill"
    ).split(),
    dict: "get items keys values".split(),
    list: "count index".split(),
    tuple: "count index".split(),
    LoopContext: "changed cycle".split(),
}
LOOP = "depth depth0 first index index0 last length nextitem previtem revindex revindex0".split()
# Before names of methods that are called: what is not called at once is never a value.
CALLED = "call:"
NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.BinExpr, nodes.UnaryExpr, nodes.For,
    nodes.If, nodes.Assign, nodes.AssignBlock, nodes.FilterBlock, nodes.With, nodes.Macro,
)  # fmt: skip
LOOKUPS = ("lookup", "query", "q")
BUILT_IN = "ansible.builtin."
ANSIBLE_VARIABLES = (
    "ansible_", "group_names", "groups", "hostvars", "inventory_", "omit", "play_hosts", "playbook_dir", "role_",
)  # fmt: skip


class Unknown(StrictUndefined):
    """Something that is not there; to look into it, or to give it a default, is fine."""

    __slots__ = ()

    def __init__(self, hint=None, obj=missing, name=None, exc=NotThere):
        super().__init__(hint, obj, name, NotThere)

    @property
    def _undefined_message(self):
        name = self._undefined_name
        if self._undefined_obj is not missing or not isinstance(name, str):
            # Which element may come from a value; a name that the template has written down does not.
            return f"refers to {name}, which is not there" if name in Sandbox.literals else "refers to what is not there"
        if name.startswith(ANSIBLE_VARIABLES):
            return f"refers to {name}, which only Ansible knows: an image is made of what is written down; write the value"
        return f"refers to the variable {name}, which is not defined"


class Variables(Context):
    """Looks names up among what the template has set itself, the variables, and the few functions."""

    def resolve_or_missing(self, key):
        if key in self.vars:
            return self.vars[key]
        store = self.environment.store
        return store.value(key) if key in store else self.parent.get(key, missing)


def guarded(kind, name, function):
    """A filter or test whose errors tell nothing of values, and which gives lists where Jinja gives generators."""

    @functools.wraps(function)
    def call(*arguments, **options):
        try:
            result = function(*arguments, **options)
            return list(result) if hasattr(result, "__next__") else result
        except (Refused, MemoryError, RecursionError):
            raise
        except Exception:
            raise Refused(f"gives the {kind} {name} what it cannot take") from None

    return call


def guard_all(kind, built_in, names, ansible):
    chosen = {**{name: built_in[name] for name in names if name in built_in}, **ansible}
    return {name: guarded(kind, name, function) for name, function in chosen.items()}


class Sandbox(SandboxedEnvironment):
    intercepted_binops = frozenset(["*", "**"])
    context_class = Variables
    # Names of elements that stand in templates.
    literals = set()

    def __init__(self, store):
        # No text begins a comment: {# is common in shell scripts (the length of an array).
        comment = {"comment_start_string": "\ufdd0{#\ufdd1", "comment_end_string": "\ufdd0#}\ufdd1"}
        super().__init__(
            undefined=Unknown, trim_blocks=True, keep_trailing_newline=True, finalize=store.printable, cache_size=0, **comment
        )
        self.store = store
        self.filters = guard_all("filter", DEFAULT_FILTERS, FILTERS, ANSIBLE_FILTERS)
        self.tests = guard_all("test", DEFAULT_TESTS, TESTS, ANSIBLE_TESTS)
        self.globals = {"range": safe_range, "dict": dict, "namespace": Namespace}

    def handle_exception(self, source=None):
        """As it is: Jinja would put the template's lines into its traceback."""
        raise  # noqa: PLE0704

    def getattr(self, obj, attribute):
        if isinstance(obj, Undefined):
            return obj
        if attribute.startswith(CALLED):
            method = attribute[len(CALLED) :]
            known = method in METHODS.get(type(obj), ())
            return getattr(obj, method) if known else self.undefined(obj=obj, name=method)
        is_loop = isinstance(obj, LoopContext) and attribute in LOOP
        if is_loop or (isinstance(obj, Namespace) and not attribute.startswith("_")):
            return getattr(obj, attribute, self.undefined(obj=obj, name=attribute))
        return self.getitem(obj, attribute)

    def getitem(self, obj, argument):
        if isinstance(obj, Undefined):
            return obj
        if isinstance(obj, (dict, list, tuple, str)):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call(self, context, obj, *arguments, **options):
        known = obj in (safe_range, dict, Namespace) or isinstance(obj, Macro)
        if isinstance(obj, Undefined):
            str(obj)
        owner = type(getattr(obj, "__self__", None))
        if not known and getattr(obj, "__name__", "") not in METHODS.get(owner, ()):
            raise Refused("calls what is no function")
        try:
            return super().call(context, obj, *arguments, **options)
        except (Refused, MemoryError, RecursionError):
            raise
        except Exception:
            raise Refused("calls a function with what it cannot take") from None

    def call_binop(self, context, operator, left, right):
        numbers = isinstance(left, int) and isinstance(right, int)
        if operator == "**" and numbers and abs(left) > 1 and right > 0:
            if right * left.bit_length() > NUMBER_BITS:
                raise Refused(f"computes a number of more than {NUMBER_BITS} bits")
        if operator == "*" and not numbers:
            sequence, times = (right, left) if isinstance(left, int) else (left, right)
            if isinstance(times, int) and isinstance(sequence, (str, list, tuple)):
                check_length(len(sequence) * max(times, 0))
        result = super().call_binop(context, operator, left, right)
        return check_number(result) if isinstance(result, (int, float)) else result

    def checked(self, source):
        """The syntax tree of a template, of allowed parts only; names without Ansible's prefix."""
        tree = self.parse(source)
        called = set()
        pending = [(tree, 0)]
        while pending:
            node, depth = pending.pop()
            if depth > DEPTH:
                raise Refused("is nested too deeply")
            if not isinstance(node, NODES):
                raise Refused(f"uses {describe(node)}, which templates of variables do not have")
            self._check(node, called)
            pending.extend((child, depth + 1) for child in node.iter_child_nodes())
        return tree

    def _check(self, node, called):
        if isinstance(node, (nodes.Filter, nodes.Test)):
            kind, known = ("filter", self.filters) if isinstance(node, nodes.Filter) else ("test", self.tests)
            node.name = node.name.removeprefix(BUILT_IN)
            if node.name not in known:
                raise Refused(f"uses the {kind} {node.name}, which templates of variables do not have")
        elif isinstance(node, nodes.Call):
            function = node.node
            called.add(id(function))
            if isinstance(function, nodes.Name) and function.name in LOOKUPS:
                raise Refused(f"calls {function.name}, but templates read nothing but variables")
            if isinstance(function, nodes.Getattr):
                self.literals.add(function.attr)
                function.attr = CALLED + function.attr
        elif isinstance(node, nodes.Name):
            is_function = node.name in self.globals and node.name not in self.store and node.ctx == "load"
            if is_function and id(node) not in called:
                raise Refused(f"uses the function {node.name} without calling it")
        elif isinstance(node, nodes.Getattr):
            self.literals.add(node.attr)
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            self.literals.add(node.arg.value)


STATEMENTS = {
    "FromImport": "import", "Import": "import", "Include": "include", "Extends": "extends", "Block": "block",
    "CallBlock": "call", "Scope": "autoescape",
}  # fmt: skip


def describe(node):
    name = type(node).__name__
    return f"{{% {STATEMENTS[name]} %}}" if name in STATEMENTS else "an expression"
