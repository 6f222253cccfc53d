"""Fixed patterns of JavaScript: how they are found, and what a run says of their work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluecode.defenses.checkers.javascript_dynamic import JavaScriptDynamic
from bluecode.defenses.checkers.javascript_patterns import patterns, steep, trials
from bluecode.defenses.checkers.python_regex import Pump, pumps
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, Evidence, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest


class InProcess:
    ready = True

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        return self._guest.run(program.job, limits or Limits()).outcome()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    given = os.environ.get("BLUECODE_CACHE")
    folder = Path(given) if given else tmp_path_factory.mktemp("guest")
    steps: list[str] = []
    source = GuestSource.load(LANGUAGES["javascript"])
    with Guest(build(source, Cache(folder), steps.append)) as guest:
        yield InProcess(guest)


async def evidence(sandbox: InProcess, code: str, cwe: int = 1333) -> Evidence:
    claim = Finding(
        detector="rules",
        rule="javascript.redos",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason="A claim.",
        cwe=cwe,
        span=(1, 9),
    )
    snippet = Snippet(code=code, language="javascript", origin="fence")
    return (await JavaScriptDynamic(sandbox).test(snippet, [claim])).evidence[0]


LABOURS = {
    "nested repetition": "exports.ok = (t) => /^(\\w+\\s?)+$/.test(t);\n",
    "alternatives that overlap": "exports.ok = (t) => /^(?:a|aa|\\w)+;$/i.test(t);\n",
    "a text in place of a literal": "const p = new RegExp('^([a-z]+)*$');\n",
    "a named group": "const p = /^(?<word>[a-z]+)+$/;\n",
    "spaces at the end": "exports.trim = (t) => t.replace(/\\s+$/, '');\n",
    "a guard that is too long": (
        "exports.ok = (t) => {\n  if (t.length > 100000) return false;\n"
        "  return /^([0-9]+)+$/.test(t);\n};\n"
    ),
}


@pytest.mark.parametrize("code", LABOURS.values(), ids=LABOURS.keys())
async def test_work_that_grows_faster_than_the_text_is_confirmed(
    sandbox: InProcess, code: str
) -> None:
    found = await evidence(sandbox, code)

    assert found.outcome == "confirmed", found.observed
    assert "matching did not end" in (found.observed or "") or "times the work" in (
        found.observed or ""
    )


IN_PROPORTION = {
    "one repetition": "exports.ok = (t) => /^\\w+$/.test(t);\n",
    "repetitions that cannot meet": "exports.ok = (t) => /^[a-z]+(?:-[a-z]+)*$/.test(t);\n",
    "a bounded repetition": "exports.ok = (t) => /^(?:[a-z]{1,3}){1,4}$/.test(t);\n",
    "nothing repeated": "const p = /^yes|no$/;\n",
    "no pattern": "const a = b / c / d;\n",
    "a comment": "// a / b (c+)+\nconst a = 1;\n",
    "not to be read by the parser at hand": "const p = /(?<!a+)\\p{L}+/u;\n",
}


@pytest.mark.parametrize("code", IN_PROPORTION.values(), ids=IN_PROPORTION.keys())
async def test_work_in_proportion_confirms_nothing_and_refutes_nothing(
    sandbox: InProcess, code: str
) -> None:
    assert (await evidence(sandbox, code)).outcome == "not_testable"


async def test_other_claims_do_not_have_patterns_tried(sandbox: InProcess) -> None:
    code = LABOURS["nested repetition"]

    assert (await evidence(sandbox, code, cwe=79)).outcome == "not_testable"


def test_patterns_are_found_in_the_lines_that_are_claimed() -> None:
    code = 'a = /x+/;\nb = /[/]y+\\//g;\nc = 4 / 2 / 1;\nd = RegExp("z\\\\d+")\n'

    assert [item.source for item in patterns(code, 2, 4)] == ["[/]y+\\/", "z\\d+"]


def test_texts_for_a_pattern_begin_like_a_match_with_the_choice_inside_first() -> None:
    assert pumps("ab[0-9]+(?:cc|d)*")[0] == Pump("ab0", "cc")
    assert pumps("(") == [] and pumps("abc") == []
    assert trials(patterns("x = /(?<n>a+)+$/;", 1, 1)[0])[0] == Pump("", "a")


def test_steep_is_what_more_than_doubles_twice() -> None:
    assert steep([10**6, 10**8, 4 * 10**8 + 10**6])
    assert not steep([10**7, 10**8, 2 * 10**8])
    assert not steep([10**5, 10**6, 10**7])
