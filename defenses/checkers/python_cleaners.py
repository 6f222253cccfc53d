"""Functions and methods that make a value harmless, and for which dangers.

A cleaner is listed with exactly what it takes away: `html.escape` does nothing against a shell.
"""

from collections.abc import Mapping

from bluecode.defenses.checkers.python_names import names_cleaner
from bluecode.defenses.checkers.python_regex import lets_through, removes
from bluecode.defenses.checkers.python_values import DANGERS

ALL = DANGERS
_HTML = frozenset({"html"})
_PATH = frozenset({"path"})
_WIRE = frozenset({"html", "header", "log", "shell", "sql", "path", "url", "template"})

CALLS: Mapping[str, frozenset[str]] = {
    "shlex.quote": frozenset({"shell"}),
    "pipes.quote": frozenset({"shell"}),
    "html.escape": _HTML,
    "cgi.escape": _HTML,
    "markupsafe.escape": _HTML,
    "flask.escape": _HTML,
    "markupsafe.Markup.escape": _HTML,
    "jinja2.escape": _HTML,
    "django.utils.html.escape": _HTML,
    "django.utils.html.conditional_escape": _HTML,
    "django.utils.html.format_html": _HTML,
    "django.utils.html.format_html_join": _HTML,
    "django.utils.html.strip_tags": _HTML,
    "xml.sax.saxutils.escape": frozenset({"html", "xml"}),
    "xml.sax.saxutils.quoteattr": frozenset({"html", "xml"}),
    "bleach.clean": _HTML,
    "nh3.clean": _HTML,
    "tornado.escape.xhtml_escape": _HTML,
    "os.path.basename": _PATH,
    "ntpath.basename": _PATH,
    "werkzeug.utils.secure_filename": frozenset({"path", "shell", "html", "header"}),
    "werkzeug.security.safe_join": _PATH,
    "flask.safe_join": _PATH,
    "django.utils._os.safe_join": _PATH,
    "django.utils.text.get_valid_filename": _PATH,
    "django.utils.text.slugify": ALL,
    "slugify.slugify": ALL,
    "urllib.parse.quote": frozenset({"html", "header", "log", "shell", "sql", "url"}),
    "urllib.parse.quote_plus": _WIRE,
    "urllib.parse.urlencode": frozenset({"html", "header", "log", "url"}),
    "urllib.quote": frozenset({"html", "header", "log", "url"}),
    "urllib.quote_plus": _WIRE,
    "re.escape": frozenset({"regex"}),
    "ast.literal_eval": frozenset({"code"}),
    "ldap.filter.escape_filter_chars": frozenset({"ldap"}),
    "ldap.dn.escape_dn_chars": frozenset({"ldap"}),
    "ldap3.utils.conv.escape_filter_chars": frozenset({"ldap"}),
    "ldap3.utils.dn.escape_rdn": frozenset({"ldap"}),
    "psycopg2.sql.Identifier": frozenset({"sql"}),
    "psycopg2.sql.Literal": frozenset({"sql"}),
    "psycopg.sql.Identifier": frozenset({"sql"}),
    "psycopg.sql.Literal": frozenset({"sql"}),
    "MySQLdb.escape_string": frozenset({"sql"}),
    "pymysql.converters.escape_string": frozenset({"sql"}),
    "repr": frozenset({"header", "log"}),
    "json.dumps": frozenset({"header", "log"}),
}
"""Functions that give a harmless form of their argument."""

_BY_LAST_NAME: Mapping[str, frozenset[str]] = {
    "secure_filename": frozenset({"path", "shell", "html", "header"}),
    "escape_filter_chars": frozenset({"ldap"}),
    "escape_rdn": frozenset({"ldap"}),
    "escape_dn_chars": frozenset({"ldap"}),
    "escape_string": frozenset({"sql"}),
    "mogrify": frozenset({"sql"}),
    "quote_identifier": frozenset({"sql"}),
    "quote_ident": frozenset({"sql"}),
    "quote_name": frozenset({"sql"}),
    "format_html": _HTML,
    "xhtml_escape": _HTML,
    "conditional_escape": _HTML,
    "safe_join": _PATH,
    "slugify": ALL,
    "get_valid_filename": _PATH,
}

NUMERIC = frozenset(
    "int float bool len ord hash round abs complex uuid.UUID UUID decimal.Decimal Decimal "
    "ipaddress.ip_address ipaddress.ip_network ipaddress.IPv4Address ipaddress.IPv6Address "
    "ip_address IPv4Address datetime.datetime.strptime datetime.datetime.fromisoformat "
    "datetime.date.fromisoformat dateutil.parser.parse time.time id isinstance issubclass "
    "hasattr callable any all bin hex oct bson.ObjectId bson.objectid.ObjectId ObjectId".split()
)
"""Functions whose result cannot carry text of the caller's choice."""

_OPAQUE_METHODS = frozenset(
    "hexdigest digest isoformat timestamp is_valid startswith endswith isdigit isalnum isalpha "
    "isnumeric isdecimal isidentifier count find rfind index exists is_file is_dir is_absolute "
    "check_password verify total_seconds bit_length".split()
)

_HAZARDS: Mapping[str, str] = {
    "shell": ";&|$`\n<>(){}'\"\\*?~#!",
    "sql": "'\"\\; (\n",
    "nosql": "${",
    "html": "<>&\"'",
    "path": "/",
    "url": "/:@",
    "code": "()[]'\"",
    "header": "\r\n",
    "log": "\r\n",
    "ldap": "()*\\\0",
    "xpath": "'\"[]()/",
    "regex": "*+?()[]{}|",
    "template": "{}%",
    "name": "_./",
}
"""Characters that a danger needs: text without them cannot do it."""

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
"""Code without any of them computes numbers and nothing else."""

_REPLACED: Mapping[str, frozenset[str]] = {
    "\n": frozenset({"header", "log"}),
    "\r": frozenset({"header", "log"}),
    "\r\n": frozenset({"header", "log"}),
    "<": _HTML,
    "/": _PATH,
    "os.sep": _PATH,
}


def harmless_call(name: str, method: str) -> frozenset[str] | None:
    """Dangers that the result of a call no longer has; None for a call that is no cleaner."""
    found = CALLS.get(name)
    if found is not None:
        return found
    last = method or name.rpartition(".")[2]
    return _BY_LAST_NAME.get(last)


def is_numeric(name: str, method: str) -> bool:
    return name in NUMERIC or method in _OPAQUE_METHODS


def named_cleaner(name: str) -> bool:
    """Whether an unknown function says by its name that it cleans."""
    return names_cleaner(name.rpartition(".")[2])


def without_pattern(pattern: str) -> frozenset[str]:
    """Dangers gone after `re.sub` removed what the pattern matches."""
    return frozenset(
        danger for danger, characters in _HAZARDS.items() if removes(pattern, characters)
    )


def matching(pattern: str) -> frozenset[str]:
    """Dangers gone once the whole text is known to match the pattern."""
    gone = {
        danger for danger, characters in _HAZARDS.items() if not lets_through(pattern, characters)
    }
    return frozenset(gone if lets_through(pattern, _LETTERS) else gone | {"code"})


def alphabet(allowed: str) -> frozenset[str]:
    """Dangers gone once the text is known to hold only these characters."""
    known = set(allowed)
    gone = {danger for danger, characters in _HAZARDS.items() if known.isdisjoint(characters)}
    return frozenset(gone if known & set(_LETTERS) else gone | {"code"})


def replaced(old: str) -> frozenset[str]:
    """Dangers gone after every `old` was replaced."""
    return _REPLACED.get(old, frozenset())
