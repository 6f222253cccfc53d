"""Functions of a C or C++ text, as far as they can be called from outside, and the text itself with
marks, by which a run tells its line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

LONGEST = 60_000
MARKED = frozenset(
    "expression_statement return_statement if_statement for_statement while_statement do_statement"
    " switch_statement declaration break_statement continue_statement goto_statement"
    " for_range_loop throw_statement try_statement".split()
)
BODIES = frozenset({"if_statement", "for_statement", "while_statement", "do_statement",
                    "else_clause", "for_range_loop"})  # fmt: skip
POINTING = ("pointer_declarator", "array_declarator", "abstract_pointer_declarator",
            "abstract_array_declarator")  # fmt: skip
INTEGERS = re.compile(
    r"^(?:(?:unsigned|signed|short|long|int|char|const|volatile|register)\s*)+$|^(?:const )?"
    r"(?:std::)?(?:s?size_t|u?int\d*_t|u?int(?:ptr|max)_t|off_t|time_t|pid_t|[ui](?:8|16|32|64)"
    r"|u?int(?:8|16|32|64)|DWORD|WORD|BYTE|UINT|ULONG|uchar|uint|ulong|bool|_Bool|mode_t|socklen_t)$"
)
REALS = re.compile(r"^(?:const )?(?:float|double|long double)$")
BYTES = re.compile(r"^(?:const )?(?:unsigned |signed )?(?:char|uint8_t|u_char|u8|BYTE|uchar)$"
                   r"|^(?:unsigned |signed )?(?:char|uint8_t) const$")  # fmt: skip
SIZES = re.compile(
    r"size|len|count|max|cap|sz|num|^n$|^n_|bytes|limit|length|amount", re.IGNORECASE
)
RESULTS = re.compile(r"dst|dest|out|buf|result|output|target|to$|response|ret", re.IGNORECASE)
STRINGS = re.compile(r"^(?:const )?(?:std::)?(?:string|string_view)(?: const)?$")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, and what it can be given."""

    kind: str
    """`text`, `number`, `real`, `string`, `result`, `array`, `stream`, `list` or `object`."""
    type: str
    """Of what it points to, or of itself."""
    name: str
    sized_by: int | None = None
    """The parameter that says how much it points to."""
    sure: bool = True
    """Is it known how much the caller owes?"""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that can be called."""

    name: str
    first: int
    last: int
    parameters: tuple[Parameter, ...]
    gives: str
    """`text`, `number`, `pointer`, or nothing that is looked at."""

    @property
    def is_main(self) -> bool:
        return self.name == "main"

    @property
    def sure(self) -> bool:
        """May what it is called with be held against it?"""
        return self.is_main or all(parameter.sure for parameter in self.parameters)


@dataclass(frozen=True, slots=True)
class Reading:
    """A text that was read."""

    code: str
    """With marks; lines are where they were."""
    functions: tuple[Function, ...]
    statements: tuple[tuple[int, int], ...]
    """First and last line of each statement that is marked."""

    def span(self, line: int) -> tuple[int, int]:
        """The lines of the statement that is marked with a line."""
        found = [item for item in self.statements if item[0] == line]
        return min(found, key=lambda item: item[1] - item[0]) if found else (line, line)

    def function_at(self, line: int) -> Function | None:
        found = [item for item in self.functions if item.first <= line <= item.last]
        return found[0] if found else None


def read(code: str, language: str) -> Reading:
    """Parse a text and mark it. Raises `ValueError` for one that is too long."""
    if len(code) > LONGEST:
        raise ValueError("the text is too long")
    from tree_sitter import Language, Parser

    grammar = import_module("tree_sitter_cpp" if language == "cpp" else "tree_sitter_c")
    source = code.encode("utf-8", "replace")
    root = Parser(Language(grammar.language())).parse(source).root_node
    bodies = [node for node in walk(root) if node.type == "function_definition"]
    edits: list[tuple[int, int, str]] = []
    spans: list[tuple[int, int]] = []
    for body in bodies:
        if b"constexpr" not in text(body.child_by_field_name("type")) and not in_template(body):
            mark(body, edits, spans)
    functions = tuple(found for node in bodies if (found := function(node)) is not None)
    return Reading(edited(source, edits).decode(), functions, tuple(spans))


def walk(root: "Node") -> Iterator["Node"]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.named_children


def text(node: "Node | None") -> bytes:
    return b"" if node is None or node.text is None else node.text


def in_template(node: "Node") -> bool:
    return b"constexpr" in text(node)[: text(node).find(b"{")]


def line(node: "Node") -> int:
    return node.start_point[0] + 1


# --- Marks --------------------------------------------------------------------------------------


def mark(function: "Node", edits: list[tuple[int, int, str]], spans: list[tuple[int, int]]) -> None:
    body = function.child_by_field_name("body")
    if body is None or body.type != "compound_statement" or body.has_error and body.is_missing:
        return
    enter = (
        "__attribute__((cleanup(__bluecode_leave))) unsigned __bluecode_was = __bluecode_enter();"
    )
    edits.append((body.start_byte + 1, 2, f" {enter}"))
    for node in walk(body):
        if node.type not in MARKED or node.parent is None or node.has_error:
            continue
        if node.parent.type == "function_definition" or node.type == "ERROR":
            continue
        call = f"__bluecode_at({line(node)}u);"
        if node.parent.type in ("compound_statement", "case_statement"):
            if node.parent.type == "case_statement" and node.type == "declaration":
                continue
            edits.append((node.start_byte, 3, call))
        elif node.parent.type in BODIES and is_body(node):
            edits += [(node.start_byte, 3, "{" + call), (node.end_byte, 1, "}")]
        else:
            continue
        spans.append((line(node), extent(node)))


def is_body(node: "Node") -> bool:
    parent = node.parent
    if parent is None or node.type == "declaration":
        return False
    names = ("consequence", "body")
    return parent.type == "else_clause" or any(
        parent.child_by_field_name(name) == node for name in names
    )


def extent(node: "Node") -> int:
    """The last line of a statement, without those of the statements in it."""
    body = next(
        (found for name in ("consequence", "body") if (found := node.child_by_field_name(name))),
        None,
    )
    if body is None:
        return node.end_point[0] + 1
    return max(line(node), line(body) - (body.type != "compound_statement"))


def edited(source: bytes, edits: Sequence[tuple[int, int, str]]) -> bytes:
    """At one place, what closes comes first."""
    parts, at = [], 0
    for place, _, added in sorted(edits):
        parts += [source[at:place], added.encode()]
        at = place
    return b"".join([*parts, source[at:]])


# --- Functions ----------------------------------------------------------------------------------


def function(node: "Node") -> Function | None:
    """The function as it can be called; None for one that cannot be."""
    declarator = node.child_by_field_name("declarator")
    pointers = 0
    while declarator is not None and declarator.type in (
        "pointer_declarator",
        "reference_declarator",
    ):
        pointers += declarator.type == "pointer_declarator"
        declarator = declarator.child_by_field_name("declarator")
    if declarator is None or declarator.type != "function_declarator":
        return None
    name = declarator.child_by_field_name("declarator")
    listed = declarator.child_by_field_name("parameters")
    if name is None or name.type != "identifier" or listed is None or is_member(node):
        return None
    kind = text(node.child_by_field_name("type")).decode("utf-8", "replace")
    given = parameters(listed)
    if given is None:
        return None
    return Function(
        name=text(name).decode("utf-8", "replace"),
        first=line(node),
        last=node.end_point[0] + 1,
        parameters=tuple(given),
        gives=result(kind, pointers),
    )


def result(kind: str, pointers: int) -> str:
    if pointers:
        return "text" if pointers == 1 and BYTES.match(kind) else "pointer"
    return "number" if INTEGERS.match(kind) else ""


def is_member(node: "Node") -> bool:
    parent = node.parent
    while parent is not None:
        if parent.type in ("class_specifier", "struct_specifier", "template_declaration",
                           "namespace_definition"):  # fmt: skip
            return True
        parent = parent.parent
    return False


def parameters(listed: "Node") -> list[Parameter] | None:
    found: list[Parameter] = []
    for child in listed.named_children:
        if child.type == "comment":
            continue
        if child.type != "parameter_declaration":
            return None  # `...`, defaults, packs
        if text(child) == b"void":
            continue
        found.append(parameter(child))
    return [sized(found, at) for at in range(len(found))]


def parameter(node: "Node") -> Parameter:
    kind = text(node.child_by_field_name("type")).decode("utf-8", "replace")
    constant = any(text(child) == b"const" for child in node.children)
    declarator, pointers, reference = node.child_by_field_name("declarator"), 0, False
    while declarator is not None and declarator.type != "identifier":
        if declarator.type in POINTING:
            pointers += 1
        elif declarator.type in ("reference_declarator", "abstract_reference_declarator"):
            reference = True
        elif declarator.type == "function_declarator":
            return Parameter("object", "void", "", sure=False)
        inner = declarator.child_by_field_name("declarator")
        declarator = inner or next(
            (item for item in declarator.named_children if "declarator" in item.type
             or item.type == "identifier"), None)  # fmt: skip
    name = text(declarator).decode("utf-8", "replace")
    return Parameter(kind_of(kind, pointers, reference, constant, name), kind, name)


def kind_of(kind: str, pointers: int, reference: bool, constant: bool, name: str) -> str:
    if STRINGS.match(kind) and not pointers:
        return "string"
    if pointers == 0:
        if INTEGERS.match(kind):
            return "number"
        return "real" if REALS.match(kind) else "object"
    if kind == "FILE":
        return "stream"
    if pointers == 2 and BYTES.match(kind):
        return "list"
    if pointers > 1 or reference:
        return "object"
    if BYTES.match(kind):
        return "result" if not constant and RESULTS.search(name) else "text"
    return "array"


def sized(found: Sequence[Parameter], at: int) -> Parameter:
    """With the parameter that says its size: the next one that is named for a size."""
    own = found[at]
    if own.kind not in ("text", "result", "array", "list"):
        sure = own.kind not in ("object",)
        return Parameter(own.kind, own.type, own.name, sure=sure)
    size = next(
        (
            index
            for index in (at + 1, at - 1, at + 2)
            if 0 <= index < len(found)
            and found[index].kind == "number"
            and (SIZES.search(found[index].name))
        ),
        None,
    )
    sure = size is not None or own.kind == "text"
    return Parameter(own.kind, own.type, own.name, size, sure)
