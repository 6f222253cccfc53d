"""C and C++: the general engine, and each function read once more for memory."""

from collections.abc import Mapping

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.guards import other_letters
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.memory import Reader
from bluecode.defenses.checkers.rules.memory_body import Local
from bluecode.defenses.checkers.rules.memory_bounds import bounds
from bluecode.defenses.checkers.rules.memory_checks import arrays, checks
from bluecode.defenses.checkers.rules.memory_containers import containers
from bluecode.defenses.checkers.rules.memory_pointers import pointers
from bluecode.defenses.checkers.rules.memory_prints import prints
from bluecode.defenses.checkers.rules.memory_reads import reads
from bluecode.defenses.checkers.rules.memory_vectors import vectors
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of


class CFlow(Flow):
    """Follows C and C++."""

    def called(self, callee: Callee, site: Site) -> None:
        """`s.erase(std::remove(s.begin(), s.end(), '\\n'), s.end())` takes letters out."""
        if callee.name != "erase" or not site.node.args:
            return
        inner = site.node.args[0]
        if inner.role != "call" or inner.name not in ("remove", "remove_if"):
            return
        path = path_of(site.node.base)
        letters = Node("array", args=list(inner.args[2:]))
        gone = other_letters(letters) if inner.name == "remove" else _asked_letters(letters)
        if path and gone:
            self.env[path] = self.lookup(path).without(gone)


def _asked_letters(predicate: Node) -> frozenset[str]:
    """The letters that a predicate compares with."""
    found: frozenset[str] = frozenset()
    for part in predicate.walk():
        if part.role == "text":
            found |= other_letters(Node("array", args=[part]))
        elif part.role in ("name", "call") and part.name.rpartition(".")[2] in _BLANKS:
            found |= {"line"}
    return found


_BLANKS = frozenset({"isspace", "iscntrl"})

MEMORY = frozenset({
    "buffer_copy", "unbounded_read", "out_of_bounds_write", "out_of_bounds_read",
    "integer_overflow", "null_dereference", "use_after_free", "double_free", "pointer_scaling",
    "temporary_file", "dangerous_function", "file_race", "stack_address", "unchecked_result",
    "mismatched_free",
})  # fmt: skip
"""What is claimed of memory."""


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    CFlow(run).snippet(parsed.tree)
    outer = arrays(parsed.tree)
    functions = [node for node in parsed.tree.walk() if node.role == "function"]
    for function in functions:
        memory(run, function, outer)
    loose = [node for node in parsed.tree.args if node.role not in ("function", "class", "import")]
    if loose:  # a piece of a function
        body = Node("block", "", loose[0].line, loose[-1].last, None, loose)
        memory(run, Node("function", "", body.line, body.last, body))


def memory(run: Run, function: Node, outer: Mapping[str, Local] | None = None) -> None:
    """Look for what goes wrong with memory in one function, with the arrays around it."""
    body = Reader(function).read()
    body.outer = outer or {}
    body.spend = run.spend
    checks(run, body)
    pointers(run, body)
    bounds(run, body)
    reads(run, body)
    containers(run, body)
    prints(run, body)
    vectors(run, body)
