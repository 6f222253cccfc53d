"""Judging effects: tables of what arrived at a sink, and what that means. No sandbox."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bluecode.defenses.checkers.effects import (
    Attack,
    Effect,
    browser_host,
    is_private,
    judge,
    page_shape,
    shell_shape,
    sql_shape,
)
from bluecode.defenses.checkers.observations import read
from bluecode.defenses.checkers.probes import KINDS, PROBES, job_of, token_of
from bluecode.defenses.conversation import Snippet
from bluecode.sandbox.outcome import Event

HARM, NEUTRAL, OWN, UNKNOWN = Effect.HARM, Effect.NEUTRAL, Effect.OWN, Effect.UNKNOWN


def attack(text: str, payload: str, benign: str | None = None, **more: object) -> Attack:
    detail = {key: value for key, value in more.items() if key not in ("whole",)}
    return Attack(
        text=text,
        payload=payload,
        marker="zqzqzq",
        own="zqzqzqa",
        benign=benign,
        whole=bool(more.get("whole")),
        detail=detail,
    )


# kind, benign text, text under attack, payload, effect; M is the marker.
TABLE = [
    ("shell", "ls M", "ls M;id", "M;id", HARM),
    ("shell", "ls M", "ls 'M;id'", "M;id", NEUTRAL),
    ("shell", "ls 'M'", "ls 'M'\"'\"';id;'\"'\"''", "M';id;'", NEUTRAL),
    ("shell", "ls 'M'", "ls 'M';id;''", "M';id;'", HARM),
    ("shell", 'ls "M"', 'ls "M$(id)"', "M$(id)", HARM),
    ("shell", 'ls "M"', 'ls "M;id"', "M;id", NEUTRAL),
    ("shell", "ls M | wc", "ls M\\;id | wc", "M;id", NEUTRAL),
    ("argv", "ls -- M", "ls -- M;id", "M;id", NEUTRAL),
    ("argv", "M", "M;id", "M;id", OWN),
    ("sql", "WHERE n = 'M'", "WHERE n = 'M' OR '1'='1'", "M' OR '1'='1", HARM),
    ("sql", "WHERE n = 'M'", "WHERE n = 'M'' OR ''1''=''1'", "M' OR '1'='1", NEUTRAL),
    ("sql", "WHERE n = 4700", "WHERE n = 7 OR 7=7 -- M", "7 OR 7=7 -- M", HARM),
    ("sql", "ORDER BY M", "ORDER BY M; DROP TABLE x --", "M; DROP TABLE x --", HARM),
    ("sql", 'FROM "M"', 'FROM "M"" x"', 'M" x', NEUTRAL),
    ("path", "/srv/d/M", "/etc/M", "../../etc/M", HARM),
    ("path", "/srv/d/M", "/srv/d/etc/M", "../../etc/M", NEUTRAL),
    ("path", "/srv/d/M", "/srv/dx/M", "../dx/M", HARM),
    ("path", "/srv/d/x_M.txt", "/srv/d/a/M.txt", "a/M", NEUTRAL),
    ("page", "<p>M</p>", "<p><script>M</script></p>", "<script>M</script>", HARM),
    ("page", "<p>M</p>", "<p>&lt;script&gt;M&lt;/script&gt;</p>", "<script>M</script>", NEUTRAL),
    ("page", "<p id='M'>", "<p id='' onclick='M'>", "' onclick='M", HARM),
    ("page", '<p id="M">', "<p id=\"' onclick='M\">", "' onclick='M", NEUTRAL),
    ("page", '<a href="M">', '<a href="javascript:M">', "javascript:M", HARM),
    ("redirect", "/M", "https://M.example.net/", "https://M.example.net/", HARM),
    ("redirect", "/M", "//M.example.net/", "//M.example.net/", HARM),
    ("redirect", "/M", "/login?next=https://M.example.net/", "https://M.example.net/", NEUTRAL),
    ("url", "https://a.org/M", "https://a.org/http://127.0.0.1/M", "http://127.0.0.1/M", NEUTRAL),
    ("url", "https://M", "https://127.0.0.1/M#", "127.0.0.1/M#", HARM),
    ("url", "https://M.a.org/", "https://127.0.0.1/M#.a.org/", "127.0.0.1/M#", HARM),
    ("url", "https://a.org/M", "https://a.org/../M", "../M", UNKNOWN),
    ("code", "f(M)", "f(__import__('os').system('M'))", "__import__('os').system('M')", HARM),
    ("code", "f('M')", "f('(1)+M')", "(1)+M", NEUTRAL),
    ("template", "Hi M", "Hi {{7*'M'}}", "{{7*'M'}}", HARM),
    ("template", "Hi M", "Hi {{ name }} M", "M", NEUTRAL),
    ("ldap", "(uid=M)", "(uid=M)(uid=*)", "M)(uid=*", HARM),
    ("ldap", "(uid=M)", "(uid=M\\29\\28uid=\\2a)", "M)(uid=*", NEUTRAL),
    ("xpath", "//u[n='M']", "//u[n='M' or '1'='1']", "M' or '1'='1", HARM),
    ("log", "user M", "user M\nINFO", "M\nINFO", HARM),
    ("log", "user M", "user M\\nINFO", "M\nINFO", NEUTRAL),
    ("pattern", "M", "(M+)+$", "(M+)+$", HARM),
    ("pattern", "M", "\\(M\\+\\)\\+\\$", "(M+)+$", NEUTRAL),
    ("shell", "ls M", "ls nothing of it", "M;id", UNKNOWN),
]


@pytest.mark.parametrize(("kind", "benign", "text", "payload", "effect"), TABLE)
def test_effects_are_told_apart(
    kind: str, benign: str, text: str, payload: str, effect: Effect
) -> None:
    benign, text, payload = (item.replace("M", "zqzqzqa") for item in (benign, text, payload))

    assert judge(kind, attack(text, payload, benign)) is effect


@pytest.mark.parametrize("kind", ["sql", "path"])
def test_a_whole_value_of_the_caller_breaks_out_of_nothing(kind: str) -> None:
    assert judge(kind, attack("/etc/zqzqzqa", "/etc/zqzqzqa", "zqzqzqa", whole=True)) is OWN


def test_entities_count_only_where_the_parser_resolves_them() -> None:
    text = '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/zqzqzqa">]><r>&e;</r>'

    assert judge("xml", attack(text, text, api="lxml.parse", resolves=True)) is HARM
    assert judge("xml", attack(text, text, api="lxml.parse", resolves=False)) is NEUTRAL
    assert judge("xml", attack(text, text, api="ElementTree.parse", resolves=False)) is UNKNOWN


def test_backslash_escapes_count_for_engines_that_know_them() -> None:
    benign = "WHERE n = 'zqzqzqa'"
    text = "WHERE n = 'zqzqzqa\\'' OR 1=1 -- '"
    payload = "zqzqzqa\\' OR 1=1 -- "

    assert judge("sql", attack(text, payload, benign, api="pymysql.execute")) is HARM


def test_without_a_benign_text_nothing_is_guessed_from_a_changed_payload() -> None:
    assert judge("sql", attack("WHERE n = 'zqzqzqa\\x27'", "zqzqzqa' OR '1'='1")) is UNKNOWN


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("/a", None),
        ("//a.org/b", "a.org"),
        ("/\\a.org", "a.org"),
        ("https:\\\\a.org", "a.org"),
        ("ht\ntps://a.org", "a.org"),
        ("https://good.org@a.org/", "a.org"),
        ("JavaScript:alert(1)", "script"),
    ],
)
def test_a_redirect_leads_where_a_browser_would_go(location: str, host: str | None) -> None:
    assert browser_host(location) == host


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.0.0.1", True),
        ("169.254.169.254", True),
        ("::1", True),
        ("2130706433", True),
        ("0x7f000001", True),
        ("10.1.2.3", True),
        ("localhost", True),
        ("93.184.215.14", False),
        ("example.com", False),
    ],
)
def test_private_addresses_are_known_however_they_are_spelled(host: str, private: bool) -> None:
    assert is_private(host) is private


@given(some.text())
def test_shapes_exist_for_any_text(text: str) -> None:
    assert isinstance(shell_shape(text), list)
    assert isinstance(sql_shape(text, "zqzqzq"), list)
    assert isinstance(page_shape(text), list)


json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=20),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=5), inner),
    max_leaves=8,
)
kinds = some.sampled_from(["entry", "call", "sink", "end", "done", "sources", "readable", "other"])


@given(some.lists(some.tuples(kinds, some.lists(json_values, max_size=8))))
def test_events_of_any_form_are_read_or_dropped_and_never_raise(
    given_events: list[tuple[str, list[object]]],
) -> None:
    events = [Event(kind, tuple(args), False) for kind, args in given_events]

    seen = read(events)

    assert 0 <= seen.dropped <= len(events)


def test_events_out_of_order_are_dropped() -> None:
    events = [
        Event("end", ("", False, 0, 0), False),
        Event("sink", ("shell", "os.system", 1, "ls", [0], {}), False),
        Event("entry", ("f", "function", 1, 2), False),
        Event("call", ("benign", "", "", 0, "", "", ""), False),
        Event("end", ("", False, 0, 0), False),
        Event("sink", ("shell", "os.system", 1, "ls", [0], {}), False),
    ]

    seen = read(events)

    assert seen.dropped == 3
    assert seen.entries[0].calls[0].sinks == []


def test_only_the_audit_hook_may_say_that_events_were_forged() -> None:
    assert read([Event("guard.forgery", ("emit",), True)]).forged
    assert not read([Event("guard.forgery", ("emit",), False)]).forged


def test_every_kind_that_a_weakness_needs_has_payloads() -> None:
    reached = {kind for kinds in KINDS.values() for kind in kinds} - {"match", "object"}

    assert reached <= PROBES.keys()
    assert all(
        len(values) >= 1 and all("<T>" in value for value in values) for values in PROBES.values()
    )


def test_the_marker_is_the_same_for_a_snippet_and_does_not_stand_in_it() -> None:
    snippet = Snippet(code="print('x')", language="python", origin="fence")
    token = token_of(snippet)
    other = Snippet(code=f"print('{token}')", language="python", origin="fence")

    assert token == token_of(snippet) and token.isalpha() and token.islower()
    assert token_of(other) not in other.code


def test_a_job_is_json_whatever_the_code_holds() -> None:
    snippet = Snippet(code="x = '\ud800'", language="python", origin="fence")

    assert json.loads(job_of(snippet, [], "zqzqzq"))["code"] == snippet.code
