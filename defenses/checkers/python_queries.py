"""Queries built as text: SQL, NoSQL, LDAP and XPath.

A statement counts when its literal text reads as SQL and a hole in it is filled by somebody else,
whatever the function is called that runs it.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from bluecode.defenses.checkers import python_scores as scores
from bluecode.defenses.checkers.python_injection import live, report
from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import Level, Part, Tag, Value

_HOLE = "\0"
_SQL = re.compile(
    r"^[\s(]*(?:--.*\n\s*)*(?:select\b[\s\S]*?\bfrom\b|select\s+[\w.]+\(|insert\s+(?:or\s+\w+\s+|"
    r"ignore\s+)?into\b|replace\s+into\b|update\s+\S+[\s\S]*?\bset\b|delete\s+from\b|"
    r"(?:drop|alter|create|truncate)\s+(?:or\s+\w+\s+|temp\w*\s+|unique\s+)?"
    r"(?:table|database|schema|user|role|view|index|trigger|function)\b|"
    r"exec(?:ute)?\s+(?:(?:u?sp|xp|proc)_?\w|\w+\.\w|immediate\b|@\w|\[)|"
    r"with\s+\w+\s+as\s*\(|merge\s+into\b|grant\s|revoke\s|call\s+\w+\s*\(|"
    r"(?:pragma|attach|copy|use|kill|set)\s+\w|where\s|show\s+\w|select\s)",
    re.I,
)
_NAME_PLACE = re.compile(
    r"(?:\b(?:from|into|table|update|join|by|select|distinct|view|database|schema|index|on|asc|"
    r"desc|exists|pragma|use|column|and|or|where|set|limit|user|role|as)\s*[(]?|[.`\[,(]|"
    r"\b(?:from|into|table|update|join)\s+[`\"\[])\s*$",
    re.I,
)
_QUOTED_NAME = re.compile(
    r"(?:\b(?:from|into|table|update|join|by|column)\s+|[.,(]\s*)[`\"\[]$", re.I
)
_VALUE_PLACE = re.compile(
    r"(?:['\"%]|[=<>]\s*|\b(?:like|ilike|in|values|between|limit|offset|then|return|is)\b\s*\(?\s*|"
    r"\bvalues\b[^)]*[,(]\s*|\bin\s*\([^)]*)$",
    re.I,
)
_RUNNERS = frozenset(
    "execute exec executemany executescript query sql select insert update delete db database "
    "cursor cur conn connection session engine raw fetch fetchall fetchone run scalar scalars "
    "mysql sqlite postgres pg psycopg statement prepare store text read stmt iter cql "
    "transaction exists dao pool find get c crs row rows tx select_one one all first".split()
)
_HARMLESS = frozenset(
    "print format join info debug warning error exception log append write warn critical len str "
    "repr strip replace lower upper split encode decode dedent startswith endswith match search "
    "sub isinstance SQL Identifier add_argument echo extend insert compile findall hash md5 "
    "sha256 get_hash setdefault".split()
)
_RECEIVERS = frozenset(
    "cursor cur conn connection db database session engine c sql con crs mysql".split()
)


def passed_on(run: Run, call: Call) -> None:
    """A call that takes an SQL statement with holes in it."""
    if call.callee.code is not None or call.last in _HARMLESS or call.last.endswith("Error"):
        return
    for value in call.values:
        statement = value
        if value.items is not None and len(value.items) > 0 and "repeated" not in value.marks:
            statement = value.items[0]
        if statement.composed and _is_sql(statement.parts):
            _statement(run, call, statement)


def _is_sql(parts: Sequence[Part]) -> bool:
    text = "".join(part if isinstance(part, str) else _HOLE for part in parts)
    return _SQL.match(text) is not None and " " in text


def _statement(run: Run, call: Call, value: Value) -> None:
    likely = bool((words(call.last) | words(call.receiver.name)) & _RUNNERS)
    if not likely and not _surely_sql(value.parts):
        return
    best, level = 0.0, Level.NONE
    for before, hole in _holes(value.parts):
        tags = call.state.live(hole, "sql")
        if not tags:
            continue
        profile = scores.SQL_NAME if _is_name(before) else scores.SQL
        found = scores.score(profile, tags)
        if found > best:
            best, level = found, tags[0].level
    if not likely:
        best *= 0.8
    if best >= scores.WORTH_SAYING:
        run.claim("sql_injection", call.node, best, level)
    elif likely and not best:
        _numbers_only(run, call, value)


def _numbers_only(run: Run, call: Call, value: Value) -> None:
    """A statement into which numbers of others are formatted: the format alone protects it."""
    for before, hole in _holes(value.parts):
        for tag in hole:
            known = tag.kind == "number" and tag.level >= Level.PRIVATE
            if known and not _is_name(before) and not call.state.cleared.covers(tag.root, "sql"):
                run.claim("sql_formatting", call.node, 0.5, tag.level)


def _surely_sql(parts: Sequence[Part]) -> bool:
    """Whether text is SQL whoever gets it: "Select a colour from the list" is none."""
    text = "".join(part if isinstance(part, str) else "x" for part in parts).strip()
    return _UNLIKE_PROSE.search(text) is not None and _WEAK_VERBS.match(text) is None


_UNLIKE_PROSE = re.compile(
    r"^[\s(]*(?:SELECT|INSERT|UPDATE|DELETE|DROP|CREATE|ALTER|REPLACE|TRUNCATE|WITH|MERGE)\b|"
    r"\bwhere\b.*[=<>]|\bvalues\s*\(|\*\s+from\b|\w\s*=\s*['\"\w]|\binsert\s+into\s+\w+\s*\("
)
_WEAK_VERBS = re.compile(r"[\s(]*(?:pragma|attach|copy|use|kill|set|where|show|call|grant)\b", re.I)


def _holes(parts: Sequence[Part]) -> list[tuple[str, frozenset[Tag]]]:
    found: list[tuple[str, frozenset[Tag]]] = []
    before = ""
    for part in parts:
        if isinstance(part, str):
            before += part
        else:
            found.append((before, part))
            before += "x"
    return found


def _is_name(before: str) -> bool:
    """Whether a hole stands where SQL takes a name or a keyword, not a value."""
    if _QUOTED_NAME.search(before):
        return True
    if _VALUE_PLACE.search(before):
        return False
    return _NAME_PLACE.search(before) is not None


def _executed(run: Run, call: Call) -> None:
    """Statements that do not read as SQL, given to what surely runs them."""
    statement = call.argument(0, "sql") or call.argument(0, "query")
    if statement is None or (statement.composed and _is_sql(statement.parts)):
        return
    tags = live(call, statement, "sql")
    if not tags or not words(call.receiver.name) & _RECEIVERS:
        return
    whole = not statement.composed or not isinstance(statement.parts[0], str)
    if whole:
        tags = [tag for tag in tags if tag.level >= Level.INPUT]
    report(run, call, "sql_injection", scores.SQL, tags)


def _raw(run: Run, call: Call) -> None:
    """Pieces of SQL in an object mapper: `raw`, `extra`, `RawSQL`, `literal_column`."""
    given = call.values if call.last == "extra" else call.args[:1]
    for value in given:
        pieces = [value, *(value.items or ()), *(held for _, held in value.fields or ())]
        for piece in pieces:
            if not (piece.composed and _is_sql(piece.parts)):
                tags = live(call, piece, "sql") if piece.composed else []
                tags += [tag for tag in live(call, piece, "sql") if tag.level is Level.REQUEST]
                report(run, call, "sql_injection", scores.SQL, tags)


def _ldap(run: Run, call: Call) -> None:
    for value in call.values:
        text = "".join(part for part in value.parts if isinstance(part, str))
        if value.composed and "=" in text:
            report(run, call, "ldap_injection", scores.QUERY, live(call, value, "ldap"))


def _search(run: Run, call: Call) -> None:
    """`connection.search(base, filter)`: LDAP where the filter is written like one."""
    if call.name.startswith("re.") or call.receiver.name.startswith("re."):
        return
    for value in call.values:
        if value.composed and re.match(r"^\s*\((?:[&|!]|\w+=)", str(value.parts[0])):
            report(run, call, "ldap_injection", scores.QUERY, live(call, value, "ldap"))


def _xpath(run: Run, call: Call) -> None:
    expression = call.argument(0, "path") or call.argument(0, "_path")
    if expression is None:
        return
    tags = live(call, expression, "xpath")
    if not expression.composed:
        tags = [tag for tag in tags if tag.level is Level.REQUEST]
    report(run, call, "xpath_injection", scores.QUERY, tags)


def _find(run: Run, call: Call) -> None:
    """ElementTree's `find` with a predicate, and documents of a NoSQL store."""
    first = call.argument(0)
    if first is None:
        return
    text = "".join(part for part in first.parts if isinstance(part, str))
    if first.composed and "[" in text and "=" in text:
        report(run, call, "xpath_injection", scores.QUERY, live(call, first, "xpath"))
    _document(run, call)


def _document(run: Run, call: Call) -> None:
    document = call.argument(0, "filter")
    if document is None:
        return
    for key, value in document.fields or ():
        if key == "$where":
            report(run, call, "nosql_injection", scores.QUERY, live(call, value, "nosql"))
        elif any(_structured(tag) for tag in live(call, value, "nosql")):
            run.claim("nosql_injection", call.node, 0.72, Level.REQUEST)
    if document.fields is None and any(_structured(tag) for tag in live(call, document, "nosql")):
        run.claim("nosql_injection", call.node, 0.78, Level.REQUEST)


def _structured(tag: Tag) -> bool:
    """Whether the client can send an object instead of text."""
    return tag.level is Level.REQUEST and tag.root.startswith(
        ("request.json", "request.get_json", "request.data", "request.body")
    )


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {
    "lxml.etree.XPath": _xpath,
    "django.db.models.expressions.RawSQL": _raw,
    "RawSQL": _raw,
}
METHODS: Mapping[str, Look] = {
    **dict.fromkeys("execute executemany executescript execute_sql".split(), _executed),
    **dict.fromkeys("raw extra literal_column RawSQL".split(), _raw),
    **dict.fromkeys(
        "search_s search_st search_ext search_ext_s paged_search simple_bind_s".split(), _ldap
    ),
    "search": _search,
    "xpath": _xpath,
    **dict.fromkeys("find findall findtext iterfind".split(), _find),
    **dict.fromkeys(
        "find_one find_one_and_update find_one_and_delete update_one update_many delete_one "
        "delete_many count_documents aggregate".split(),
        _document,
    ),
}
