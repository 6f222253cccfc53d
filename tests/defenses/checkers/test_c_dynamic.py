"""What running C and C++ shows of a claim: unsafe code is confirmed, safe code refuted, and a
defence that only looks good does not help."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from bluecode.defenses.checkers import c_functions
from bluecode.defenses.checkers.c_dynamic import CDynamic
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, DetectorError, Evidence, Finding, Severity
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import CompilerLate, Outcome, SandboxUnavailable
from bluecode.sandbox.workers import Sandbox

TRIPLES = tomllib.loads((Path(__file__).parents[2] / "data" / "c_triples.toml").read_text())
needs_compiler = pytest.mark.skipif(found_zig() is None, reason="the extra `c` is not installed")
EXPECTED = {"unsafe": "confirmed", "safe": "refuted", "bypassable": "confirmed"}


def claim(cwe: int, line: int) -> Finding:
    return Finding(
        detector="rules",
        rule=f"c.of_{cwe}",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason="",
        severity=Severity.HIGH,
        cwe=cwe,
        span=(line, line),
        advice="",
    )


def claimed_line(code: str) -> int:
    return next(at for at, line in enumerate(code.split("\n"), 1) if "// claim" in line)


class Place:
    """A checker over a sandbox with one worker."""

    def __init__(self, portal: BlockingPortal, sandbox: Sandbox) -> None:
        self._portal, self._checker = portal, CDynamic(sandbox)

    def test(self, code: str, cwe: int, language: str = "c", line: int = 0) -> Evidence:
        snippet = Snippet(code=code, language=language, origin="fence")
        claims = [claim(cwe, line or claimed_line(code))]
        return self._portal.call(self._checker.test, snippet, claims).evidence[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    given = os.environ.get("BLUECODE_CACHE")
    folder = Path(given) if given else tmp_path_factory.mktemp("guest")
    with start_blocking_portal() as portal:
        opened = Sandbox.open(cache=folder, workers=1)
        with portal.wrap_async_context_manager(opened) as sandbox:
            portal.call(sandbox.warm)
            yield Place(portal, sandbox)


def triples() -> Iterator[Any]:
    for at, triple in enumerate(TRIPLES["triple"]):
        for kind, outcome in EXPECTED.items():
            language = triple.get("language", "c")
            name = f"{language}-{triple['cwe']}-{at}-{kind}"
            yield pytest.param(triple[kind], triple["cwe"], language, outcome, id=name)


@needs_compiler
@pytest.mark.parametrize(("code", "cwe", "language", "outcome"), list(triples()))
def test_a_claim_is_tried_out(
    place: Place, code: str, cwe: int, language: str, outcome: str
) -> None:
    evidence = place.test(code.lstrip("\n"), cwe, language)

    assert evidence.outcome == outcome, evidence.observed


OPEN = {
    "a header that is not there": (
        "#include <ssl.h>\nvoid f(char *p) { p[0] = 1; // claim\n}",
        787,
    ),
    "a type that is not there": ("int f(thing *p) { return p->x; // claim\n}", 476),
    "a function that is not there": (
        "int ask(char *);\nint f(char *p) { char b[4];\n return b[ask(p)]; // claim\n}",
        125,
    ),
    "a line that is not reached": (
        "int f(unsigned n) {\n if (n % 9973 == 71 && n % 9949 == 13)\n"
        " return 1 / (n % 7); // claim\n return 0; }",
        369,
    ),
    "a buffer whose size nobody tells": ("void f(int *p, int at) { p[at] = 1; // claim\n}", 787),
    "an allocation that fails": (
        "#include <stdlib.h>\nint f(void) { int *p = malloc(4); *p = 1; // claim\n return *p; }",
        476,
    ),
    "an allocation that fails late": (
        "#include <stdlib.h>\nchar *f(const char *s) { char *p = malloc(1); size_t n = 0;\n"
        " if (!p) return 0;\n for (; *s; s++) { p = realloc(p, ++n + 1);\n"
        " p[n - 1] = *s; } // claim\n p[n] = 0; return p; }",
        476,
    ),
    "a variable of the environment that is missing": (
        '#include <stdlib.h>\nint f(int n) { return getenv("HOME")[0] + n; // claim\n}',
        476,
    ),
    "a program that the caller chooses": (
        '#include <unistd.h>\nint f(char *p) { return execl(p, p, "x", (char *)0); // claim\n}',
        88,
    ),
    "a folder that the caller chooses": (
        "#include <stdio.h>\nint f(const char *folder) { char p[30000];\n"
        ' snprintf(p, sizeof p, "%s/settings", folder);\n'
        ' FILE *s = fopen(p, "r"); // claim\n return s ? fclose(s) : 1; }',
        22,
    ),
    "a text that looks at the runtime": (
        "void __bluecode_at(unsigned);\nint f(int n) { return n ? 7 / n : 0; // claim\n}",
        369,
    ),
    "what no run shows": ("int f(void) { return 1; // claim\n}", 327),
}


@needs_compiler
@pytest.mark.parametrize(("code", "cwe"), OPEN.values(), ids=OPEN)
def test_what_a_run_cannot_tell_stays_open(place: Place, code: str, cwe: int) -> None:
    assert place.test(code, cwe).outcome == "not_testable"


@needs_compiler
def test_a_name_below_a_folder_is_tried_with_names_that_climb(place: Place) -> None:
    code = (
        "#include <stdio.h>\nint f(const char *name, const char *folder) { char p[30000];\n"
        ' snprintf(p, sizeof p, "%s/%s", folder, name);\n'
        ' FILE *s = fopen(p, "r"); // claim\n return s ? fclose(s) : 1; }'
    )

    evidence = place.test(code, 22)

    assert evidence.outcome == "confirmed", evidence.observed
    assert "/../" in (evidence.observed or "")


class Uncompiling:
    """A sandbox without a compiler."""

    ready, compiles = True, False

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        raise AssertionError("nothing is to be run")


async def test_without_a_compiler_that_is_said() -> None:
    snippet = Snippet(code="void f(char *p) { p[9] = 1; }", language="c", origin="fence")

    report = await CDynamic(Uncompiling()).test(snippet, [claim(787, 1)])

    (evidence,) = report.evidence
    assert evidence.outcome == "not_testable"
    assert "bluecode[c]" in (evidence.observed or "")


class Failing:
    """A sandbox that cannot run what it is given."""

    ready, compiles = True, True

    def __init__(self, error: SandboxUnavailable) -> None:
        self._error = error

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        raise self._error


async def test_a_compiler_that_is_late_shows_nothing_and_is_no_failure() -> None:
    snippet = Snippet(code="void f(char *p) { p[9] = 1; }", language="c", origin="fence")

    report = await CDynamic(Failing(CompilerLate("late"))).test(snippet, [claim(787, 1)])

    (evidence,) = report.evidence
    assert evidence.outcome == "not_testable"
    assert "in time" in (evidence.observed or "")


async def test_a_sandbox_that_cannot_be_used_is_a_failure() -> None:
    snippet = Snippet(code="void f(char *p) { p[9] = 1; }", language="c", origin="fence")

    with pytest.raises(DetectorError, match="no worker"):
        await CDynamic(Failing(SandboxUnavailable("no worker"))).test(snippet, [claim(787, 1)])


def test_marks_leave_lines_where_they_are() -> None:
    code = "int f(int a) {\n  if (a)\n    return 1;\n  else\n    a++;\n  return a;\n}\n"

    reading = c_functions.read(code, "c")

    assert reading.code.count("\n") == code.count("\n")
    assert [start for start, _ in sorted(set(reading.statements))] == [2, 3, 5, 6]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("void f(const char *s, int n)", ["text", "number"]),
        ("void f(char *out, size_t size)", ["result", "number"]),
        ("void f(char out[10])", ["result"]),
        ("void f(int *items, int count)", ["array", "number"]),
        ("void f(FILE *file, char **list)", ["stream", "list"]),
        ("void f(struct thing *p, double d)", ["array", "real"]),
        ("void f(void (*call)(int))", ["object"]),
    ],
)
def test_parameters_are_told_apart(text: str, kinds: list[str]) -> None:
    (function,) = c_functions.read(text + " { }", "c").functions

    assert [parameter.kind for parameter in function.parameters] == kinds
