"""How the grammars write calls: functions, methods, constructors, macros, built-in commands."""

from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.grammar_functions import closure
from bluecode.defenses.checkers.rules.grammar_values import binary, inside
from bluecode.defenses.checkers.rules.lowering import Handler, Lowering, dotted, first, named
from bluecode.defenses.checkers.rules.tree import EMPTY, Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece


def call(low: Lowering, node: "Piece") -> Node:
    """`f(x)` and `a.f(x)` where the callee is one expression."""
    made = low.make(node, "call", args=_arguments(low, first(node, "arguments")))
    callee = first(node, "function", "constructor", "macro")
    if callee is not None and callee.kind() == "template_function":
        return _instance(low, made, callee)
    _name(made, low.lower(callee))
    made.tags += _variable(callee)
    return made


def _instance(low: Lowering, made: Node, callee: "Piece") -> Node:
    """C++'s `f<T>(x)`, of which `static_cast<T>(x)` only looks like a call."""
    label, kinds = first(callee, "name"), first(callee, "arguments")
    name = label.text() if label is not None else ""
    if name in _CASTS and len(made.args) == 1:
        made.role = "cast"
        made.name = kinds.text()[1:-1].strip() if kinds is not None else ""
    else:
        _name(made, low.lower(label))
    return made


_CASTS = frozenset({"static_cast", "reinterpret_cast", "const_cast", "dynamic_cast"})


def _variable(label: "Piece | None") -> tuple[str, ...]:
    """PHP's `$f()`: a variable holds the name."""
    return ("$",) if label is not None and label.kind() == "variable_name" else ()


def _name(made: Node, callee: Node) -> None:
    if callee.role == "name":
        head, dot, tail = callee.name.rpartition(".")
        made.name = tail
        if dot:
            made.base = Node("name", head, callee.line, callee.last)
    elif callee.role == "member":
        made.name, made.base = callee.name, callee.base
        made.tags = (callee.type,) if callee.type else ()
    elif callee.role == "index" and callee.args and callee.args[0].role == "text":
        made.name, made.base = callee.args[0].name, callee.base
    else:
        made.base = callee


def _arguments(low: Lowering, node: "Piece | None") -> list[Node]:
    if node is None:
        return []
    found = low.all(node)
    return [arg for arg in found if arg is not EMPTY]


def method_call(low: Lowering, node: "Piece") -> Node:
    """Calls whose grammar names the receiver and the method apart, Ruby's blocks with them."""
    receiver = first(node, "object", "receiver", "scope")
    label = first(node, "name", "method")
    made = low.make(node, "call", dotted(label.text()) if label is not None else "")
    made.tags = _variable(label)
    if receiver is not None:
        made.base = low.lower(receiver)
    made.args = _arguments(low, first(node, "arguments"))
    block = first(node, "block")
    if block is None:
        block = next((k for k in named(node) if k.kind() in ("block", "do_block")), None)
    if block is not None:
        made.args.append(low.lower(block))
    return made


def construct(low: Lowering, node: "Piece") -> Node:
    """`new T(x)`."""
    kind = first(node, "constructor", "type")
    arguments = first(node, "arguments")
    parts = named(node)
    if kind is None and parts:
        kind = parts[0]
    if arguments is None:
        arguments = next((k for k in parts if k.kind() in ("arguments", "argument_list")), None)
    label = dotted(kind.text().partition("<")[0]) if kind is not None else ""
    head, _, tail = label.rpartition(".")
    made = low.make(node, "call", tail, args=_arguments(low, arguments), type="new")
    made.tags = _variable(kind)
    if head:
        made.base = Node("name", head, made.line, made.line)
    for kid in parts:
        if kid.kind() in ("initializer_expression", "object_initializer"):
            made.args.append(_initializer(low, kid))
        elif kid.kind() == "new_declarator":
            made.size = inside(low, kid)
        elif kid.kind() in ("class_body", "declaration_list"):
            made.args.append(low.lower(kid))
    return made


def _initializer(low: Lowering, node: "Piece") -> Node:
    """C#'s `new T { A = 1 }`: the assignments are pairs of an object."""
    pairs = []
    for part in low.all(node):
        if part.role == "assign" and part.base is not None and part.base.role == "name":
            part = Node("pair", part.base.name, part.line, part.last, None, part.args)
        pairs.append(part)
    return low.make(node, "object", args=pairs)


def new_array(low: Lowering, node: "Piece") -> Node:
    """Java's and C#'s `new T[n] {…}`; the size is kept, the elements are the value."""
    made = low.make(node, "array")
    for kid in named(node):
        kind = kid.kind()
        if kind in ("array_initializer", "initializer_expression", "array_element_initializer"):
            made.args.extend(
                low.lower(kid).args if kind[0] != "a" or "ele" not in kind else [low.lower(kid)]
            )
        elif kind == "dimensions_expr" or (kind == "array_type" and "[" in kid.text()):
            sizes = low.lower(kid)
            made.size = sizes.args[-1] if sizes.args else sizes
    if any(arg.role == "pair" for arg in made.args):
        made.role = "object"
    return made


def macro(low: Lowering, node: "Piece") -> Node:
    """Rust's `format!(…)`: the tokens between commas are the arguments."""
    label = first(node, "macro")
    made = low.make(node, "call", dotted(label.text()).rpartition(".")[2] + "!" if label else "!")
    tree = next((kid for kid in named(node) if kid.kind() == "token_tree"), None)
    if tree is not None:
        made.args = _tokens(low, tree)
    return made


def _tokens(low: Lowering, tree: "Piece") -> list[Node]:
    args: list[Node] = []
    current: list[Node] = []
    previous: Node | None = None
    for kid in tree.children():
        text = kid.text() if not kid.is_named() else ""
        if text in (",", ";"):
            args.append(_group(current))
            current, previous = [], None
        elif text == "." or text == "::":
            continue
        elif kid.kind() == "token_tree":
            inner = _tokens(low, kid)
            if previous is not None and previous.role == "name":
                current[-1] = Node(
                    "call", previous.name, previous.line, previous.last,
                    current[-2] if len(current) > 1 else None, inner,
                )  # fmt: skip
                previous = current[-1]
            else:
                current.extend(inner)
        elif kid.is_named():
            previous = low.lower(kid)
            current.append(previous)
    if current:
        args.append(_group(current))
    return args


def _group(parts: list[Node]) -> Node:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return EMPTY
    return Node("other", "", parts[0].line, parts[-1].last, None, list(parts))


def keyword_call(low: Lowering, node: "Piece") -> Node:
    """`echo`, `print`, `include`, `exit`, `delete`: a word of the language with arguments."""
    word = next((kid.text() for kid in node.children() if not kid.is_named()), "")
    parts = named(node)
    args: list[Node] = []
    for part in parts:
        if part.kind() in ("sequence_expression", "argument_list", "arguments"):
            args.extend(low.all(part))
        else:
            args.append(low.lower(part))
    return low.make(node, "call", word.lower() or node.kind(), args=args)


def stream(low: Lowering, node: "Piece") -> Node:
    """C++'s `cin >> x`: reading, not shifting."""
    made = binary(low, node)
    if made.name == ">>" and made.args and made.args[0].role == "name":
        source = made.args[0].name.rpartition(".")[2]
        if source in ("cin", "wcin"):
            return low.make(node, "call", ">>", base=made.args[0], args=made.args[1:])
    return made


def splice(low: Lowering, node: "Piece") -> Node:
    """Ruby's bare block."""
    return closure(low, node)


def _many(handler: Handler, kinds: str) -> dict[str, Handler]:
    return {kind: handler for kind in kinds.split()}


CALLS: dict[str, Handler] = {
    **_many(call, "call_expression invocation_expression function_call_expression"),
    **_many(
        method_call,
        "method_invocation member_call_expression nullsafe_member_call_expression "
        "scoped_call_expression call",
    ),
    **_many(
        construct,
        "new_expression object_creation_expression implicit_object_creation_expression "
        "explicit_constructor_invocation",
    ),
    **_many(new_array, "array_creation_expression"),
    **_many(macro, "macro_invocation"),
    **_many(
        keyword_call,
        "echo_statement print_intrinsic include_expression include_once_expression "
        "require_expression require_once_expression exit_statement unset_statement "
        "delete_expression yield super_call typeof_expression",
    ),
    **_many(stream, "binary_expression"),
}
"""Kinds of nodes that are calls, and what reads them."""
