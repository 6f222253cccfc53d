"""How the grammars write values: names, texts, operators, members, calls, collections."""

from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.grammar_texts import (
    joined,
    plain_text,
    regex,
    shell_text,
    symbol,
    text,
)
from bluecode.defenses.checkers.rules.lowering import Handler, Lowering, dotted, first, named
from bluecode.defenses.checkers.rules.tree import EMPTY, Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece


def name(low: Lowering, node: "Piece") -> Node:
    """A name or a dotted path."""
    return low.make(node, "name", dotted(node.text()))


def number(low: Lowering, node: "Piece") -> Node:
    """A number as written."""
    return low.make(node, "number", node.text())


def constant(low: Lowering, node: "Piece") -> Node:
    """True, false or nothing."""
    return low.make(node, "constant", node.text().lower())


def inside(low: Lowering, node: "Piece") -> Node:
    """What stands in brackets, or behind a word that changes nothing here."""
    parts = named(node)
    if len(parts) == 1:
        return low.lower(parts[0])
    if not parts:
        return EMPTY
    return low.make(node, "other", args=[low.lower(part) for part in parts])


def last_inside(low: Lowering, node: "Piece") -> Node:
    """The value behind a type, an out-modifier or a label."""
    parts = named(node)
    return low.lower(parts[-1]) if parts else EMPTY


_LOGIC = {"and": "&&", "or": "||", "===": "==", "!==": "!=", "not": "!"}


def binary(low: Lowering, node: "Piece") -> Node:
    """`a + b + c` is one node with three parts: long chains must not be deep."""
    operator = _operator(node)
    parts: list[Piece] = []
    at: Piece | None = node
    kind = node.kind()
    while at is not None and at.kind() == kind and _operator(at) == operator:
        right = at.field("right")
        if right is not None:
            parts.append(right)
        below = at.field("left")
        if below is None:
            break
        at = below
    if at is not None and at is not node:
        parts.append(at)
    parts.reverse()
    args = [low.lower(part) for part in parts]
    operator = _LOGIC.get(operator, operator)
    return low.make(node, "join" if operator in ("+", ".") else "binary", operator, args=args)


def _operator(node: "Piece") -> str:
    found = node.field("operator")
    if found is not None:
        return found.text()
    return next((kid.text() for kid in node.children() if not kid.is_named()), "")


def unary(low: Lowering, node: "Piece") -> Node:
    """An operator with one operand."""
    found = first(node, "argument", "operand", "value")
    sign = node.field("operator")
    if found is None:
        parts = named(node)
        found = parts[-1] if parts else None
    word = sign.text() if sign is not None else _operator(node)
    if word in ("&", "*") or word != "new":
        return low.make(node, "unary", _LOGIC.get(word, word), args=[low.lower(found)])
    return low.lower(found)


def step(low: Lowering, node: "Piece") -> Node:
    """`i++` and its kin."""
    word = "--" if "--" in node.text() else "++"
    found = first(node, "argument") or next(iter(named(node)), None)
    return low.make(node, "unary", word, args=[low.lower(found)])


def cast(low: Lowering, node: "Piece") -> Node:
    """A value of which a type is said."""
    kind = first(node, "type")
    value = first(node, "value", "operand") or next(iter(named(node)[-1:]), None)
    return low.make(node, "cast", kind.text() if kind else "", args=[low.lower(value)])


def sized(low: Lowering, node: "Piece") -> Node:
    """`sizeof x`: a number that depends on no data."""
    inner = first(node, "value", "type")
    made = low.make(node, "call", "sizeof")
    made.args = [low.lower(inner)] if inner is not None else []
    made.type = inner.text() if inner is not None else ""
    return made


def choice(low: Lowering, node: "Piece") -> Node:
    """One of two values."""
    then = low.field(node, "consequence", "body")
    args = [low.field(node, "condition"), then, low.field(node, "alternative")]
    return low.make(node, "choice", args=args)


def member(low: Lowering, node: "Piece") -> Node:
    """A part of a value, by name."""
    base = low.field(
        node, "object", "argument", "operand", "value", "expression", "scope", "condition"
    )
    found = first(node, "property", "field", "name")
    if found is None:
        parts = named(node)
        found = parts[-1] if parts else None
        if base is EMPTY and parts:
            base = low.lower(parts[0])
    if found is not None and found.kind() in ("member_binding_expression", "generic_name"):
        found = (named(found) or [found])[0]
    label = dotted(found.text()) if found is not None else ""
    if base is EMPTY:
        return low.make(node, "name", label)
    made = low.make(node, "member", label, base=base)
    if node.kind() == "field_expression":
        made.type = _operator(node)  # C's `->` follows a pointer, its `.` does not
    return made


def generic(low: Lowering, node: "Piece") -> Node:
    """Rust's `f::<T>`: the function is what counts."""
    return low.field(node, "function")


def first_inside(low: Lowering, node: "Piece") -> Node:
    """The value before a type."""
    parts = named(node)
    return low.lower(parts[0]) if parts else EMPTY


def conditional_access(low: Lowering, node: "Piece") -> Node:
    """C#'s `a?.b(c)`: the part behind the mark hangs on the part before it."""
    base = low.field(node, "condition")
    parts = named(node)
    rest = low.lower(parts[-1]) if len(parts) > 1 else EMPTY
    at = rest
    while at.base is not None and at.role in ("member", "call", "index"):
        at = at.base
    if at.role == "name" and at is rest:
        return low.make(node, "member", at.name, base=base)
    if at.role == "name":
        at.role, at.base = "member", base
    return rest


def index(low: Lowering, node: "Piece") -> Node:
    """A part of a value, by key."""
    base = first(node, "object", "argument", "operand", "array", "expression")
    parts = named(node)
    keys = first(node, "index")
    if base is None and parts:
        base = parts[0]
    if keys is not None:
        args = [low.lower(keys)]
    else:
        args = [low.lower(part) for part in parts[1:]]
    flat: list[Node] = []
    for arg in args:
        flat.extend(arg.args if arg.role == "other" and arg.args else [arg])
    return low.make(node, "index", base=low.lower(base), args=flat)


def cut(low: Lowering, node: "Piece") -> Node:
    """Go's `a[1:n]`."""
    parts = named(node)
    base = low.lower(parts[0]) if parts else EMPTY
    return low.make(node, "index", "slice", base=base, args=[low.lower(part) for part in parts[1:]])


def pair(low: Lowering, node: "Piece") -> Node:
    """A key with its value."""
    key = first(node, "key", "name", "field", "left")
    value = first(node, "value", "right")
    parts = named(node)
    if key is None and parts:
        key = parts[0]
    if value is None and len(parts) > 1:
        value = parts[-1]
    made = low.make(node, "pair", args=[low.lower(value)])
    if key is not None:
        label = low.lower(key)
        if label.role in ("name", "text", "constant", "number"):
            made.name = label.name
        else:
            made.base = label
    return made


def shorthand(low: Lowering, node: "Piece") -> Node:
    """A key that is its value's name."""
    label = dotted(node.text())
    return low.make(node, "pair", label, args=[low.make(node, "name", label)])


def element(low: Lowering, node: "Piece") -> Node:
    """PHP's array elements: with a key or without."""
    parts = named(node)
    if len(parts) == 2:
        return pair(low, node)
    return low.lower(parts[0]) if parts else EMPTY


def collection(low: Lowering, node: "Piece") -> Node:
    """An object or an array written out."""
    args = low.all(node)
    keyed = any(arg.role == "pair" for arg in args)
    return low.make(node, "object" if keyed else "array", args=args)


def words(low: Lowering, node: "Piece") -> Node:
    """Ruby's `%w[a b]`."""
    letters = [low.make(kid, "text", kid.text()) for kid in named(node)]
    return low.make(node, "array", args=letters)


def composite(low: Lowering, node: "Piece") -> Node:
    """Go's and Rust's `T{a: 1}`."""
    kind = first(node, "type", "name")
    body = first(node, "body")
    made = low.lower(body) if body is not None else EMPTY
    args = list(made.args) if made.role in ("object", "array", "other") else []
    if node.kind() == "struct_expression":
        for at, arg in enumerate(args):
            if arg.role == "name":
                args[at] = Node("pair", arg.name, arg.line, arg.last, None, [arg])
    elif args and not any(arg.role == "pair" for arg in args):
        return low.make(node, "array", args=args)
    return low.make(node, "object", dotted(kind.text()) if kind is not None else "", args=args)


def jsx(low: Lowering, node: "Piece") -> Node:
    """Markup in JavaScript: attributes are pairs, and what is inserted is escaped by the library,
    so that text between tags is no sink; the attributes that are one have rules."""
    return low.make(node, "object", "jsx", args=low.all(node))


def jsx_attribute(low: Lowering, node: "Piece") -> Node:
    """An attribute of markup in JavaScript."""
    parts = named(node)
    label = parts[0].text() if parts else ""
    value = low.lower(parts[1]) if len(parts) > 1 else EMPTY
    return low.make(node, "pair", label, args=[value])


def _many(handler: Handler, kinds: str) -> dict[str, Handler]:
    return {kind: handler for kind in kinds.split()}


VALUES: dict[str, Handler] = {
    **_many(
        name,
        "identifier type_identifier field_identifier property_identifier variable_name name "
        "constant instance_variable class_variable global_variable this self super "
        "package_identifier namespace_identifier private_property_identifier predefined_type "
        "scoped_identifier qualified_identifier qualified_name scope_resolution namespace_name "
        "relative_scope primitive_type metavariable shorthand_property_identifier_pattern crate "
        "scoped_type_identifier implicit_parameter this_expression base_expression discard "
        "undefined dependent_name generic_name template_type qualified_type statement_identifier",
    ),
    **_many(
        number,
        "number number_literal integer float integer_literal real_literal float_literal "
        "int_literal decimal_integer_literal hex_integer_literal octal_integer_literal "
        "binary_integer_literal decimal_floating_point_literal rational complex "
        "imaginary_literal",
    ),
    **_many(
        constant, "true false null nil boolean_literal null_literal boolean none undefined_literal"
    ),
    **_many(
        plain_text,
        "string_literal raw_string_literal rune_literal char_literal character_literal "
        "interpreted_string_literal verbatim_string_literal system_lib_string raw_string "
        "ansi_c_string",
    ),
    **_many(
        text,
        "string template_string encapsed_string interpolated_string_expression heredoc nowdoc "
        "string_array_literal bare_string heredoc_body delimited_symbol",
    ),
    **_many(symbol, "simple_symbol hash_key_symbol"),
    **_many(shell_text, "subshell shell_command_expression"),
    **_many(joined, "concatenated_string chained_string"),
    **_many(
        inside,
        "parenthesized_expression expression_statement await_expression try_expression "
        "reference_expression spread_element argument template_substitution interpolation "
        "literal_element else then error_suppression_expression "
        "parenthesized_statements "
        "reference_modifier jsx_expression computed_property_name clone_expression "
        "variadic_unpacking splat_argument hash_splat_argument pattern match_pattern "
        "constant_pattern init_statement expression_list exceptions sequence_expression "
        "checked_expression yield_expression declaration_expression_statement "
        "parenthesized_pattern spread_expression await hash_splat by_ref co_await_expression "
        "ref_expression ref_pattern mut_pattern reference_pattern go_statement defer_statement",
    ),
    **_many(last_inside, "declaration_expression out_argument"),
    **_many(generic, "generic_function"),
    **_many(
        first_inside,
        "as_expression satisfies_expression non_null_expression type_assertion_expression",
    ),
    **_many(binary, "binary_expression binary logical_expression"),
    **_many(
        unary,
        "unary_expression unary pointer_expression unary_op_expression prefix_unary_expression "
        "not_expression unary_not_expression",
    ),
    **_many(step, "update_expression inc_statement dec_statement postfix_unary_expression"),
    **_many(cast, "cast_expression type_cast_expression type_conversion_expression type_assertion"),
    **_many(sized, "sizeof_expression alignof_expression size_of_expression"),
    **_many(choice, "ternary_expression conditional_expression conditional"),
    **_many(
        member,
        "member_expression field_expression field_access selector_expression "
        "member_access_expression nullsafe_member_access_expression "
        "scoped_property_access_expression class_constant_access_expression "
        "member_binding_expression method_reference",
    ),
    **_many(conditional_access, "conditional_access_expression"),
    **_many(
        index,
        "subscript_expression array_access index_expression element_access_expression "
        "element_reference element_binding_expression",
    ),
    **_many(cut, "slice_expression"),
    **_many(
        pair, "pair pair_pattern keyed_element field_initializer initializer_pair pair_pattern"
    ),
    **_many(shorthand, "shorthand_property_identifier shorthand_field_initializer"),
    **_many(element, "array_element_initializer"),
    **_many(
        collection,
        "object array hash array_creation_expression initializer_list array_initializer "
        "array_expression object_pattern array_pattern literal_value list_literal "
        "initializer_expression tuple_expression tuple_pattern field_initializer_list "
        "implicit_array_creation_expression anonymous_object_creation_expression "
        "left_assignment_list collection_expression slice_pattern tuple_struct_pattern",
    ),
    **_many(words, "string_array symbol_array"),
    **_many(composite, "composite_literal struct_expression compound_literal_expression"),
    **_many(regex, "regex"),
    **_many(jsx, "jsx_element jsx_self_closing_element jsx_opening_element jsx_fragment"),
    **_many(jsx_attribute, "jsx_attribute"),
}
"""Kinds of nodes of all grammars that are values, and what reads them."""
