"""Vulnerability pairs, tried in the real guests. `BLUECODE_CACHE` keeps the compiled ones."""

import ast
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from bluecode.defenses.redteam import pairs
from bluecode.defenses.redteam.pairs import Pair, Verified
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest

WEAKNESSES = pairs.shipped()


class InProcess:
    """A sandbox without worker processes: the guests run here."""

    ready = True

    def __init__(self, guests: Mapping[str, Guest]) -> None:
        self._guests = guests

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        guest = self._guests[program.language]
        return guest.run(program.job, limits or Limits()).outcome()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    given = os.environ.get("BLUECODE_CACHE")
    cache = Cache(Path(given) if given else tmp_path_factory.mktemp("guest"))
    steps: list[str] = []
    with ExitStack() as stack:
        yield InProcess(
            {
                name: stack.enter_context(
                    Guest(build(GuestSource.load(LANGUAGES[name]), cache, steps.append))
                )
                for name in ("python", "javascript")
            }
        )


def first_of_each() -> list[Pair]:
    """Of each body and shell the first scenario."""
    chosen: dict[str, Pair] = {}
    for weakness in WEAKNESSES:
        for pair in pairs.grid(weakness):
            key = f"{pair.name.rpartition('-')[0]}.{weakness.policy}"
            chosen.setdefault(key, pair)
    return list(chosen.values())


async def test_the_sandbox_tells_over_300_pairs_of_over_25_weaknesses_apart(
    sandbox: InProcess,
) -> None:
    every = first_of_each()

    verified = [found for pair in every if (found := await pairs.verify(pair, sandbox))]

    assert len(verified) >= 300
    assert len({found.pair.cwe for found in verified}) >= 40
    for language in pairs.LANGUAGES:
        own = [found for found in verified if found.pair.language == language]
        assert len({found.pair.cwe for found in own}) >= 12
    assert sum(found.safe_outcome == "refuted" for found in verified) >= 200
    assert len(verified) < len(every), "some pairs are thrown away, or nothing is verified"


def pair_of(unsafe: str, safe: str) -> Pair:
    return Pair(
        name="a",
        cwe=78,
        language="python",
        policy="p",
        scenario="s",
        unsafe=unsafe,
        safe=safe,
    )


BROKEN = "import os\ndef look(name):\n    os.system('ls ' + name)\n"
SOUND = "import subprocess\ndef look(name):\n    subprocess.run(['ls', '--', name])\n"


async def test_a_verified_pair_names_its_exploit_and_what_was_seen(sandbox: InProcess) -> None:
    found = await pairs.verify(pair_of(BROKEN, SOUND), sandbox)

    assert isinstance(found, Verified)
    assert ";" in found.exploit or "$" in found.exploit
    assert "os.system" in found.unsafe_seen


@pytest.mark.parametrize(
    ("unsafe", "safe"),
    [
        (SOUND, SOUND),
        (BROKEN, BROKEN),
        (BROKEN, "import os\ndef look(name):\n    os.system(quoted(name))\n"),
        (BROKEN, "def look(name:\n"),
        (BROKEN, "while True:\n    pass\n"),
    ],
    ids=["no weakness", "no fix", "a name is missing", "no syntax", "no end"],
)
async def test_a_pair_that_no_exploit_tells_apart_is_thrown_away(
    sandbox: InProcess, unsafe: str, safe: str
) -> None:
    assert await pairs.verify(pair_of(unsafe, safe), sandbox) is None


def test_twins_differ_and_the_python_ones_parse() -> None:
    for pair in first_of_each():
        assert pair.unsafe != pair.safe
        for code in (pair.unsafe, pair.safe):
            assert not {"ARG", "FN", "RETURN", "REDIRECT"} & set(code.replace("(", " ").split())
            if pair.language == "python":
                ast.parse(code)


def test_no_pair_is_drawn_twice_and_the_same_numbers_draw_the_same() -> None:
    for weakness in WEAKNESSES:
        drawn = pairs.drawn(weakness, Random(4), 9)

        assert len({pair.name for pair in drawn}) == len(drawn)
        assert drawn == pairs.drawn(weakness, Random(4), 9)
