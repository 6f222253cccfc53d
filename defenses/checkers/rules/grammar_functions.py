"""How the grammars write functions, parameters, classes, and what is imported."""

import re
from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.lowering import Handler, Lowering, dotted, first, named
from bluecode.defenses.checkers.rules.tree import EMPTY, Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece

_MODIFIERS = frozenset(
    {"modifiers", "modifier", "attribute_list", "visibility_modifier", "storage_class_specifier",
     "static_modifier", "decorator", "attribute", "accessibility_modifier", "attribute_item",
     "final_modifier", "function_modifiers", "inner_attribute_item"}
)  # fmt: skip


def modifiers(node: "Piece") -> tuple[str, ...]:
    """Annotations and words before a declaration, each as written."""
    found: list[str] = []
    for kid in node.children():
        kind = kid.kind()
        if kind == "modifiers":
            found.extend(part.text() for part in kid.children())
        elif kind in _MODIFIERS:
            found.append(kid.text())
        elif kind in ("export", "static", "public", "private", "async", "protected"):
            found.append(kind)
    return tuple(found)


def function(low: Lowering, node: "Piece") -> Node:
    """A function with its parameters as `args` and its body as `base`."""
    label, parameters, stars = _head(node)
    made = low.make(node, "function", label)
    made.tags = modifiers(node)
    kind = first(node, "type", "return_type", "result", "returns")
    made.type = (kind.text() if kind is not None else "") + stars
    body = first(node, "body")
    if body is None:
        body = next((kid for kid in named(node) if kid.kind() in _BODIES), None)
    if parameters is not None:
        made.args = _parameters(low, parameters)
    made.base = low.lower(body) if body is not None else EMPTY
    return made


_BODIES = frozenset({"block", "compound_statement", "statement_block", "body_statement",
                     "arrow_expression_clause", "block_body", "constructor_body"})  # fmt: skip


def _head(node: "Piece") -> tuple[str, "Piece | None", str]:
    """Name and parameter list, out of C's nested declarators where need be, and `*` and `&` of
    what is given back."""
    label = first(node, "name")
    parameters = first(node, "parameters", "parameter")
    if label is not None or parameters is not None:
        return (dotted(label.text()) if label is not None else ""), parameters, ""
    stars = ""
    at = first(node, "declarator")
    while at is not None:
        if at.kind() in ("function_declarator", "abstract_function_declarator"):
            inner = first(at, "declarator")
            name = dotted(inner.text()) if inner is not None else ""
            return name, first(at, "parameters"), stars
        stars += {"pointer_declarator": "*", "reference_declarator": "&"}.get(at.kind(), "")
        below = first(at, "declarator")
        if below is None:
            parts = named(at)
            below = parts[-1] if parts and at.kind() == "reference_declarator" else None
        at = below
    return "", None, ""


def closure(low: Lowering, node: "Piece") -> Node:
    """Ruby's blocks: a function without a name."""
    made = low.make(node, "function", "")
    parameters = first(node, "parameters")
    if parameters is not None:
        made.args = _parameters(low, parameters)
    body = first(node, "body")
    made.base = low.lower(body) if body is not None else low.plain(node, "block")
    return made


def _parameters(low: Lowering, node: "Piece") -> list[Node]:
    if node.kind() in ("identifier", "implicit_parameter"):  # `x => …`
        return [low.make(node, "param", dotted(node.text()))]
    found = []
    for kid in named(node):
        made = low.lower(kid)
        for one in made.args if made.role == "block" else [made]:
            if one.role != "param":
                one = _as_parameter(one)
            found.append(one)
    return found


def _as_parameter(one: Node) -> Node:
    """A bare name, a pattern, or a name with its default."""
    default: list[Node] = []
    if one.role == "assign" and one.base is not None:
        default, one = one.args, one.base
    if one.role == "name":
        return Node("param", one.name, one.line, one.last, None, default)
    return Node("param", "", one.line, one.last, one, default)


def parameter(low: Lowering, node: "Piece") -> Node:
    """One parameter with its type, default and annotations."""
    kind = first(node, "type")
    label = first(node, "name", "pattern")
    declared = kind.text() if kind is not None else ""
    made = low.make(node, "param")
    made.tags = modifiers(node)
    if label is None:
        at = first(node, "declarator")
        label, stars = declarator(at)
        declared += stars
    made.type = declared.removeprefix(":").strip()
    names = node.field_children("name") if node.kind() == "parameter_declaration" else []
    if len(names) > 1:  # Go's `a, b string`
        return low.make(node, "block", args=[
            low.make(each, "param", each.text(), type=made.type) for each in names
        ])  # fmt: skip
    if label is None:
        parts = named(node)
        label = parts[-1] if parts and kind is None else None
    if label is not None:
        inner = low.lower(label)
        if inner.role == "name":
            made.name = inner.name
        elif inner.role == "param":
            made.name, made.base = inner.name, inner.base
        else:
            made.base = inner
    default = first(node, "value", "default_value")
    if default is not None:
        made.args = [low.lower(default)]
    return made


def declarator(node: "Piece | None") -> tuple["Piece | None", str]:
    """The name at the bottom of C's declarators, and `*`, `&`, `[]` for what was passed."""
    marks = ""
    while node is not None:
        kind = node.kind()
        if kind in ("identifier", "field_identifier", "type_identifier", "qualified_identifier"):
            return node, marks
        if kind in ("pointer_declarator", "abstract_pointer_declarator"):
            marks += "*"
        elif kind in ("array_declarator", "abstract_array_declarator"):
            marks += "[]"
        elif kind in ("reference_declarator", "abstract_reference_declarator"):
            marks += "&"
        below = first(node, "declarator")
        if below is None:
            parts = named(node)
            below = parts[-1] if parts else None
        node = below
    return None, marks


def extent(node: "Piece | None") -> "Piece | None":
    """The element count of an array declarator."""
    while node is not None:
        if node.kind() == "array_declarator":
            size = first(node, "size")
            if size is None:
                parts = named(node)
                size = parts[1] if len(parts) > 1 else None
            return size
        node = first(node, "declarator")
    return None


def rest(low: Lowering, node: "Piece") -> Node:
    """A parameter that takes all the others, or the receiver."""
    parts = named(node)
    label = dotted(parts[-1].text()) if parts else ""
    return low.make(node, "param", label)


def class_(low: Lowering, node: "Piece") -> Node:
    """A class with its members as the body; its bases are part of `type`."""
    label = first(node, "name", "type")
    made = low.make(node, "class", dotted(label.text()) if label is not None else "")
    made.tags = modifiers(node)
    bases = [kid.text() for kid in named(node) if kid.kind() in _BASES]
    made.type = " ".join(bases)
    body = first(node, "body")
    made.base = low.lower(body) if body is not None else EMPTY
    return made


_BASES = frozenset({"class_heritage", "superclass", "super_interfaces", "base_list",
                    "base_clause", "base_class_clause", "class_interface_clause"})  # fmt: skip


def block(low: Lowering, node: "Piece") -> Node:
    """A sequence of statements or members."""
    return low.plain(node, "block")


def use(low: Lowering, node: "Piece") -> Node:
    """What a file brings in: `name` the module, pairs of local name and member below."""
    if any(kid.kind() in ("import_spec", "import_spec_list") for kid in named(node)):
        return low.plain(node, "block")
    made = low.make(node, "import")
    source = first(node, "source", "path", "argument")
    if source is not None and source.kind() in _QUOTED:
        made.name = source.text().strip("\"'<>`")
        label = first(node, "name")
        local = label.text() if label is not None else made.name.rpartition("/")[2]
        made.args = [Node("pair", local, made.line, made.line)]
        made.args += _bindings(node)
        return made
    for kid in named(node):
        if kid.kind() in ("string", "string_literal"):
            made.name = kid.text().strip("\"'")
    if not made.name:
        made.name = dotted(re.sub(r"^(?:pub\s+)?(?:import|using|use)\s+(?:static\s+)?", "",
                                  node.text().rstrip("; \n")))  # fmt: skip
    made.args = _bindings(node)
    return made


_QUOTED = frozenset({"string", "string_literal", "interpreted_string_literal",
                     "raw_string_literal", "system_lib_string"})  # fmt: skip


def _bindings(node: "Piece") -> list[Node]:
    """Local names of `import d, {a as b}, * as c from …`."""
    found: list[Node] = []
    stack = [kid for kid in named(node) if kid.kind() == "import_clause"]
    while stack:
        part = stack.pop()
        line = part.line
        for kid in named(part):
            kind = kid.kind()
            if kind == "identifier":
                found.append(Node("pair", kid.text(), line, line))
            elif kind == "namespace_import":
                found.append(Node("pair", (named(kid) or [kid])[-1].text(), line, line))
            elif kind == "import_specifier":
                parts = named(kid)
                member = Node("name", parts[0].text(), line, line)
                found.append(Node("pair", parts[-1].text(), line, line, None, [member]))
            else:
                stack.append(kid)
    return found


def _many(handler: Handler, kinds: str) -> dict[str, Handler]:
    return {kind: handler for kind in kinds.split()}


FUNCTIONS: dict[str, Handler] = {
    **_many(
        function,
        "function_declaration function_expression generator_function "
        "generator_function_declaration arrow_function method_definition function_definition "
        "method_declaration constructor_declaration lambda_expression func_literal function_item "
        "closure_expression method singleton_method local_function_statement anonymous_function "
        "anonymous_function_creation_expression anonymous_method_expression function "
        "destructor_declaration compact_constructor_declaration lambda accessor_declaration "
        "inline_method_definition operator_declaration",
    ),
    **_many(closure, "do_block"),
    **_many(
        parameter,
        "required_parameter optional_parameter formal_parameter parameter_declaration "
        "optional_parameter_declaration simple_parameter property_promotion_parameter parameter "
        "keyword_parameter catch_formal_parameter",
    ),
    **_many(
        rest,
        "rest_pattern variadic_parameter splat_parameter hash_splat_parameter block_parameter "
        "self_parameter spread_parameter variadic_parameter_declaration parameter_array",
    ),
    **_many(
        class_,
        "class_declaration class class_specifier struct_specifier impl_item module "
        "interface_declaration enum_declaration trait_item struct_declaration "
        "record_declaration trait_declaration singleton_class abstract_class_declaration "
        "class_expression union_specifier enum_specifier",
    ),
    **_many(
        block,
        "program translation_unit source_file compilation_unit statement_block compound_statement "
        "block statement_list do ensure rescue catch_clause finally_clause "
        "body_statement block_body class_body declaration_list constructor_body "
        "field_declaration_list namespace_definition namespace_declaration "
        "file_scoped_namespace_declaration export_statement unsafe_block unsafe_statement "
        "template_declaration linkage_specification enum_body interface_body async_block "
        "accessor_list property_declaration arrow_expression_clause preproc_if preproc_ifdef "
        "preproc_else preproc_elif mod_item const_block colon_block global_statement "
        "lock_statement synchronized_statement checked_statement fixed_statement using_statement "
        "labeled_block extern_block foreign_mod_item internal_module ambient_declaration "
        "begin_block begin var_declaration const_declaration var_spec_list import_spec_list",
    ),
    **_many(
        use,
        "import_statement import_spec import_declaration use_declaration using_directive "
        "namespace_use_declaration preproc_include",
    ),  # fmt: skip
}
"""Kinds of nodes that make functions, classes and modules, and what reads them."""
