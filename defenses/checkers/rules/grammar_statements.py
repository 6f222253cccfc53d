"""How the grammars write statements: assignments, branches, loops, ends."""

from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.grammar_functions import declarator, extent, modifiers
from bluecode.defenses.checkers.rules.lowering import Handler, Lowering, first, named
from bluecode.defenses.checkers.rules.tree import EMPTY, Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece


def assign(low: Lowering, node: "Piece") -> Node:
    """A value for a target; several of each become arrays."""
    sign = node.field("operator")
    operator = sign.text() if sign is not None else "="
    left, right = low.field(node, "left"), low.field(node, "right")
    if left.role == "call" and left.base is not None and not left.args:  # Ruby's `a.b = c`
        left = low.make(node, "member", left.name, base=left.base)
    if left.role == "other":  # Go's `a, b = f()`
        left = Node("array", "", left.line, left.last, None, left.args)
    if right.role == "other" and left.role == "array":
        right = Node("array", "", right.line, right.last, None, right.args)
    return low.make(node, "assign", operator, base=left, args=[right])


def declare(low: Lowering, node: "Piece") -> Node:
    """One name with its value, where each has a node of its own."""
    label = first(node, "name", "pattern", "property", "left")
    value = first(node, "value", "right")
    kind = first(node, "type")
    if label is None:
        parts = named(node)
        label = parts[0] if parts else None
    if value is None:
        value = _after_equals(node)
    names = node.field_children("name")
    target = low.lower(label)
    if len(names) > 1:  # Go's `var a, b = 1, 2`
        target = low.make(node, "array", args=[low.lower(each) for each in names])
    made = low.make(node, "declare", base=target, type=kind.text() if kind is not None else "")
    made.type = made.type.removeprefix(":").strip()
    made.tags = modifiers(node)
    if value is not None:
        given = low.lower(value)
        if given.role == "other" and target.role == "array":
            given.role = "array"
        made.args = [given]
    return made


def _after_equals(node: "Piece") -> "Piece | None":
    seen = False
    for kid in node.children():
        if seen and kid.is_named():
            return kid
        seen = seen or kid.text() == "="
    return None


def declarations(low: Lowering, node: "Piece") -> Node:
    """`T a = 1, b[3];` in C, Java, C#: a block of `declare` with the type of all."""
    kind = first(node, "type")
    declared = kind.text() if kind is not None else ""
    tags = modifiers(node)
    made = low.make(node, "block", "declarations")
    if kind is not None and kind.kind() in ("struct_specifier", "class_specifier",
                                            "enum_specifier", "union_specifier"):  # fmt: skip
        made.args.append(low.lower(kind))
        declared = declared.partition("{")[0].strip()
    for kid in named(node):
        shape = kid.kind()
        if shape == "variable_declaration":  # C# wraps them
            inner = declarations(low, kid)
            for one in inner.args:
                one.tags = tags
            made.args.extend(inner.args)
        elif shape == "variable_declarator":
            one = declare(low, kid)
            one.type, one.tags = one.type or declared, tags
            made.args.append(one)
        elif shape in _DECLARATORS:
            made.args.append(_c_declare(low, kid, declared, tags))
    return made


_DECLARATORS = frozenset(
    {"init_declarator", "identifier", "pointer_declarator", "array_declarator",
     "reference_declarator", "field_identifier", "function_declarator"}
)  # fmt: skip


def _c_declare(low: Lowering, node: "Piece", declared: str, tags: tuple[str, ...]) -> Node:
    value = first(node, "value") if node.kind() == "init_declarator" else None
    label, marks = declarator(node if value is None else first(node, "declarator"))
    made = low.make(node, "declare", type=declared + marks)
    made.base = low.lower(label) if label is not None else EMPTY
    made.tags = tags
    size = extent(first(node, "declarator") if node.kind() == "init_declarator" else node)
    if size is not None:
        made.size = low.lower(size)
    if node.kind() == "function_declarator":
        made.type += "()"
        made.args = _constructed(low, node, declared)
    elif value is not None:
        given = low.lower(value)
        if value.kind() == "argument_list":  # C++'s `T x(a, b)`
            given = low.make(value, "call", declared.rpartition("::")[2], args=given.args)
            given.type = "new"
        made.args = [given]
    return made


def _constructed(low: Lowering, node: "Piece", declared: str) -> list[Node]:
    """`std::string t(s);` reads as a function's declaration to a grammar without types."""
    parameters = first(node, "parameters")
    names = [kid for kid in named(parameters)] if parameters is not None else []
    plain = [kid for kid in names if kid.text().isidentifier()]
    if not plain or len(plain) != len(names):
        return []
    args = [low.make(kid, "name", kid.text()) for kid in plain]
    return [low.make(node, "call", declared.rpartition("::")[2], args=args, type="new")]


def if_(low: Lowering, node: "Piece") -> Node:
    """A branch; side by side `elseif`s are nested."""
    condition = _condition(low, node)
    then = low.field(node, "consequence", "body")
    if then is EMPTY:
        then = _bash_then(low, node)
    clauses = node.field_children("alternative")
    if not clauses:
        clauses = [k for k in named(node) if k.kind() in ("elif_clause", "else_clause")]
    parts: list[Node] = []
    for clause in clauses:
        parts.append(low.lower(clause))
    otherwise = EMPTY
    for part in reversed(parts):  # PHP and bash write `elseif` side by side: nest them
        if part.role == "if":
            if len(part.args) == 2:
                part.args.append(otherwise)
            otherwise = part
        else:
            otherwise = part
    made = low.make(node, "if", args=[condition, then, otherwise])
    setup = first(node, "initializer")
    if setup is not None:
        return low.make(node, "block", args=[low.lower(setup), made])
    if condition.role == "block":  # C++'s `if (init; condition)`
        made.args[0] = condition.args[-1]
        return low.make(node, "block", args=[*condition.args[:-1], made])
    return made


def _condition(low: Lowering, node: "Piece") -> Node:
    found = first(node, "condition")
    if found is None:
        found = next(
            (k for k in named(node) if k.kind() in ("test_command", "command", "pipeline",
                                                    "negated_command", "list")),
            None,
        )  # fmt: skip
    return low.lower(found)


def _bash_then(low: Lowering, node: "Piece") -> Node:
    seen = False
    made = low.make(node, "block")
    for kid in node.children():
        if kid.kind() == "then":
            seen = True
        elif kid.kind() in ("elif_clause", "else_clause", "fi"):
            break
        elif seen and kid.is_named():
            made.args.append(low.lower(kid))
    return made


def elif_(low: Lowering, node: "Piece") -> Node:
    """An `elseif` that its neighbours complete."""
    made = if_(low, node)
    if made.role == "if" and made.args[2] is EMPTY:
        made.args.pop()
    return made


def unless(low: Lowering, node: "Piece") -> Node:
    """A branch whose condition is turned round."""
    made = if_(low, node)
    made.args[0] = Node("unary", "!", made.line, made.line, None, [made.args[0]])
    return made


def condition_clause(low: Lowering, node: "Piece") -> Node:
    """C++'s condition, with what it declares before it."""
    setup, value = first(node, "initializer"), first(node, "value")
    if setup is None:
        return low.lower(value if value is not None else next(iter(named(node)), None))
    return low.make(node, "block", args=[low.lower(setup), low.lower(value)])


def let_condition(low: Lowering, node: "Piece") -> Node:
    """Rust's `if let p = v`."""
    return low.make(
        node, "assign", "=", base=low.field(node, "pattern"), args=[low.field(node, "value")]
    )


def loop(low: Lowering, node: "Piece") -> Node:
    """A loop with what comes before, its condition and its step."""
    clause = next((k for k in named(node) if k.kind() in ("for_clause", "range_clause")), node)
    if clause.kind() == "range_clause":
        return each(low, node)
    setup = first(clause, "initializer", "init")
    if setup is None and clause is node:
        setup = next((k for k in named(node) if k.kind() in ("local_variable_declaration",)), None)
    condition = first(clause, "condition")
    if condition is None and clause is node and node.kind() == "for_statement":
        condition = next((k for k in named(node) if k.kind() == "binary_expression"), None)
    after = first(clause, "update", "increment")
    args = [low.lower(setup), low.lower(condition), low.lower(after)]
    return low.make(node, "loop", node.kind().partition("_")[0], base=_body(low, node), args=args)


def _body(low: Lowering, node: "Piece") -> Node:
    found = first(node, "body")
    if found is None:
        found = next((k for k in named(node) if k.kind() in ("block", "do_group", "do")), None)
    return low.lower(found)


def each(low: Lowering, node: "Piece") -> Node:
    """`for x of xs`: the target and the collection."""
    clause = next((k for k in named(node) if k.kind() == "range_clause"), node)
    target = first(clause, "left", "name", "pattern")
    if target is None and first(clause, "declarator") is not None:
        target, _ = declarator(first(clause, "declarator"))
    source = first(clause, "right", "value")
    parts = named(clause)
    if target is None and len(parts) > 1:
        rest = [kid for kid in parts if kid.kind() not in ("compound_statement", "do_group")]
        if source is None:  # PHP: collection first, then the name or the pair
            source, target = rest[0], rest[-1]
        else:
            target = rest[0]
    aim = low.lower(target)
    if aim.role == "other":
        aim.role = "array"
    if aim.role == "pair":  # PHP's `$k => $v`
        keys = [aim.base] if aim.base is not None else [Node("name", aim.name)]
        aim = Node("array", "", aim.line, aim.last, None, [*keys, *aim.args])
    return low.make(node, "loop", "each", base=_body(low, node), args=[aim, low.lower(source)])


def switch(low: Lowering, node: "Piece") -> Node:
    """A choice among cases."""
    subject = low.field(node, "value", "condition")
    setup = first(node, "initializer")
    body = first(node, "body")
    cases: list[Node] = []
    for kid in named(body if body is not None else node):
        if kid.kind() in _CASES:
            cases.append(case(low, kid))
    made = low.make(node, "switch", args=[subject, *cases])
    if setup is not None:
        return low.make(node, "block", args=[low.lower(setup), made])
    return made


_CASES = frozenset(
    {"switch_case", "switch_default", "case_statement", "default_statement", "expression_case",
     "default_case", "switch_block_statement_group", "switch_rule", "when", "else",
     "switch_section", "match_arm", "type_case", "communication_case", "case_item",
     "switch_expression_arm", "match_conditional_expression", "match_default_expression"}
)  # fmt: skip


def case(low: Lowering, node: "Piece") -> Node:
    """The compared values as `base`, nothing for the default; the statements as `args`."""
    made = low.make(node, "case")
    values = [*node.field_children("value"), *node.field_children("pattern")]
    kind = node.kind()
    if kind == "match_arm":
        values = node.field_children("pattern")
    keys = {v.extent for v in values}
    labels: list[Node] = [low.lower(v) for v in values]
    for kid in named(node):
        if kid.extent in keys:
            continue
        if kid.kind() in ("switch_label", "constant_pattern", "case_switch_label"):
            labels.append(low.lower(kid))
        else:
            made.args.append(low.lower(kid))
    if kind in ("when", "match_arm", "switch_case") and len(made.args) == 1:
        made.args = made.args[0].args if made.args[0].role == "block" else made.args
    if labels:
        made.base = Node("array", "", made.line, made.line, None, labels)
    return made


def ends(low: Lowering, node: "Piece") -> Node:
    """`return x`, `throw x`."""
    word = node.text().split(None, 1)[0].rstrip(";(").lower() if node.text() else ""
    args = low.all(node)
    if node.kind() == "return" and args and args[0].role == "other":
        args = args[0].args
    role = "return" if word == "return" else "jump"
    if role == "jump" and word not in ("break", "continue", "goto", "next", "redo", "retry"):
        word = "throw"
    return low.make(node, "return" if role == "return" else "jump", word, args=args)


def try_(low: Lowering, node: "Piece") -> Node:
    """A body with its handlers."""
    return low.plain(node, "try")


def label(low: Lowering, node: "Piece") -> Node:
    """A place that can be jumped to, with its statement."""
    parts = named(node)
    made = low.make(node, "label", parts[0].text() if parts else "")
    made.args = [low.lower(part) for part in parts[1:]]
    return made


def macro_constant(low: Lowering, node: "Piece") -> Node:
    """C's `#define N 10`: the value is what follows, read as a literal where it is one."""
    value = first(node, "value")
    made = low.make(node, "declare", base=low.field(node, "name"), type="#define")
    text = value.text().strip() if value is not None else ""
    role = "number" if text[:1].isdigit() else "other"
    made.args = [Node("number" if role == "number" else "other", text, made.line, made.line)]
    return made


def else_(low: Lowering, node: "Piece") -> Node:
    """What runs otherwise: one statement or a block."""
    args = low.all(node)
    return args[0] if len(args) == 1 else low.make(node, "block", args=args)


def nothing(low: Lowering, node: "Piece") -> Node:
    """What means nothing here."""
    return EMPTY


def _many(handler: Handler, kinds: str) -> dict[str, Handler]:
    return {kind: handler for kind in kinds.split()}


STATEMENTS: dict[str, Handler] = {
    **_many(
        assign,
        "assignment_expression augmented_assignment_expression assignment operator_assignment "
        "compound_assignment_expr assignment_statement short_var_declaration "
        "reference_assignment_expression assignment_pattern object_assignment_pattern",
    ),
    **_many(
        declare,
        "variable_declarator let_declaration const_spec var_spec property_element const_item "
        "static_item public_field_definition field_definition resource const_element "
        "static_variable_declaration",
    ),
    **_many(
        declarations,
        "declaration local_variable_declaration field_declaration local_declaration_statement "
        "variable_declaration_statement event_field_declaration constant_declaration "
        "variable_declaration lexical_declaration",
    ),
    **_many(if_, "if_statement if if_modifier if_expression"),
    **_many(elif_, "else_if_clause elif_clause elsif"),
    **_many(else_, "else_clause"),
    **_many(unless, "unless unless_modifier"),
    **_many(condition_clause, "condition_clause"),
    **_many(let_condition, "let_condition"),
    **_many(
        loop,
        "for_statement while_statement do_statement while while_expression loop_expression until "
        "while_modifier until_modifier c_style_for_statement",
    ),
    **_many(
        each,
        "for_in_statement enhanced_for_statement foreach_statement for_range_loop for_expression "
        "for for_each_statement",
    ),
    **_many(
        switch,
        "switch_statement expression_switch_statement type_switch_statement match_expression case "
        "switch_expression select_statement case_statement case_match",
    ),
    **_many(
        ends,
        "return_statement return return_expression throw_statement throw_expression "
        "break_statement break break_expression continue_statement continue_expression next redo "
        "goto_statement co_return_statement yield_statement",
    ),
    **_many(try_, "try_statement try_with_resources_statement"),
    **_many(label, "labeled_statement"),
    **_many(macro_constant, "preproc_def"),
    **_many(nothing, "empty_statement php_tag php_end_tag type_annotation"),
}
"""Kinds of nodes that are statements, and what reads them."""
