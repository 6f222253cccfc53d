"""C#: what makes a call wrong, as tests of one call or one value."""

import re

from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Value


def xml_open(site: Site) -> float:
    """An XML parser that is told to read document types."""
    safe = r"DtdProcessing\.(?:Prohibit|Ignore)|XmlResolver\s*=\s*null|ProhibitDtd\s*=\s*true"
    if site.mentions(safe):
        return 0.0
    wide = site.mentions(r"DtdProcessing\.Parse|XmlUrlResolver|ProhibitDtd\s*=\s*false")
    return 0.8 if wide else 0.0


def password_rule(site: Site) -> float:
    """A least length of passwords below eight."""
    least = site.option("RequiredLength")
    text = (least.known or "") if least is not None else ""
    return 0.6 if text.isdigit() and int(text) < 8 else 0.0


def cookie(site: Site) -> float:
    """A cookie that is given neither flag."""
    return 0.45 if site.option("HttpOnly") is None and site.option("Secure") is None else 0.0


def member_name(site: Site) -> float:
    """A member of an archive written where its name says."""
    return 0.72 if site.mentions(r"\.FullName\b") and not site.mentions(r"StartsWith\(") else 0.0


def returns_true(value: Value) -> bool:
    """A callback that says yes to everything."""
    return value.path == "function:true" or "DangerousAcceptAny" in value.path


def old_protocol(value: Value) -> bool:
    """A version of SSL or TLS before 1.2."""
    return bool(re.search(r"\.(?:Ssl2|Ssl3|Tls|Tls11)(?:\||$)", value.path))


QUERY_OBJECTS = (
    "new.SqlCommand new.MySqlCommand new.NpgsqlCommand new.OleDbCommand new.OdbcCommand "
    "new.SQLiteCommand new.SqliteCommand new.OracleCommand new.SqlDataAdapter "
    "new.MySqlDataAdapter new.SqlCeCommand"
)
