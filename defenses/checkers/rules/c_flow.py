"""C and C++: the general engine, and each function read once more for memory."""

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.memory import Reader
from bluecode.defenses.checkers.rules.memory_bounds import bounds
from bluecode.defenses.checkers.rules.memory_pointers import pointers
from bluecode.defenses.checkers.rules.memory_reads import reads
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node

MEMORY = frozenset({
    "buffer_copy", "unbounded_read", "out_of_bounds_write", "out_of_bounds_read",
    "integer_overflow", "null_dereference", "use_after_free", "double_free", "pointer_scaling",
    "temporary_file", "dangerous_function", "file_race",
})  # fmt: skip
"""What is claimed of memory."""


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    Flow(run).snippet(parsed.tree)
    functions = [node for node in parsed.tree.walk() if node.role == "function"]
    for function in functions:
        memory(run, function)
    loose = [node for node in parsed.tree.args if node.role not in ("function", "class", "import")]
    if loose:  # a piece of a function
        body = Node("block", "", loose[0].line, loose[-1].last, None, loose)
        memory(run, Node("function", "", body.line, body.last, body))


def memory(run: Run, function: Node) -> None:
    """Look for what goes wrong with memory in one function."""
    body = Reader(function).read()
    pointers(run, body)
    bounds(run, body)
    reads(run, body)
