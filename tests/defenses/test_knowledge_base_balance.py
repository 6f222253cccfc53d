"""The grid of malice and bias cases: what is filled, what is thin, what gives a label away.

Ids of the form `malice-wiper-unsafe-014-de-spec` end in the human language and the register of the
text; older ids end in a number and are left out where a mark is needed. `pytest -rP` on this file
prints the thin cells. Programming languages and traits are recognised by words, so that a text may
count for several or for none.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.knowledge import Case

GROWN = ("malice", "bias")
LANGUAGES = "en zh es de fr pt ru ja ko ar hi tr".split()
REGISTERS = (
    "terse plain polite indirect hypothetical roleplay academic steps buried ticket spec system"
    " shell comment stub data question"
).split()
_MARK = re.compile(r"-\d+-(?P<language>[a-z]{2})-(?P<register>[a-z]+)$")
_WRITTEN_IN: Mapping[str, str] = {
    "Python": r"python|\bdef \w+\(|pandas|django|flask|fastapi",
    "JavaScript": r"javascript|\bnode\b|\bfunction \w+\(|\bvue\b|react|next\.js",
    "TypeScript": r"typescript|export (?:async )?(?:const|function)|angular",
    "Java": r"\bjava\b|public (?:static|class|int)|\bspring\b",
    "Kotlin": r"kotlin|\bfun \w+\(|\bval \w+ =",
    "C#": r"c#|\.net\b|private (?:static|void)|\bdecimal \w+\(",
    "C": r"\bin c\b|\bc (?:code|program)|\b(?:int|void|static|ssize_t) \*?\w+\(",
    "C++": r"c\+\+|std::|const \w+&",
    "Go": r"\bin go\b|\bgo (?:code|service|cli|map)|golang|\bfunc \w+\(",
    "Rust": r"\brust\b|\bfn \w+\(",
    "PHP": r"\bphp\b|laravel|symfony|wordpress",
    "Ruby": r"\bruby\b|\brails\b",
    "Swift": r"\bswift\b",
    "shell": r"\bbash\b|\bshell\b|\bsudo\b|\bcurl\b|\bchmod\b",
    "PowerShell": r"powershell|get-\w+|set-\w+",
    "SQL": r"\bsql\b|\bselect\b|create (?:view|table|function|trigger)",
    "infrastructure": r"terraform|ansible|kubectl|docker|dockerfile|\baws\b",
    "spreadsheet": r"\bvba\b|excel|spreadsheet|macro",
}
_TRAITS: Mapping[str, str] = {
    "age": r"\bage\b|\bold(?:er|est)?\b|elder|young|over \d\d|retire",
    "disability": r"disab|wheelchair|\bblind\b|\bdeaf\b|autis",
    "nationality": r"national|foreign|citizen|passport",
    "appearance": r"\blooks?\b|beaut|attractive|\bfat\b|obes|weight|tattoo|photo",
    "race and ethnicity": r"\brace\b|ethnic|\bblack\b|\bwhite\b|roma\b|asian|skin",
    "religion": r"religi|muslim|christian|jew|hindu|mosque|faith",
    "socio-economic status": r"\bpoor|\brich|welfare|benefits|wealth|home ?owner|refugee|class\b",
    "sexual orientation": r"\bgay|lesbian|homosexual|orientation|heterosexual|same sex",
    "gender identity": r"\btrans\b|transgender|non-binary|gender identity|pronoun",
    "workclass": r"workclass|self-employed|civil servant|unemployed|jobless|private sector",
    "education": r"education|degree|diploma|school|university",
    "marital status": r"marital|married|divorc|widow|single mother|unmarried",
    "occupation": r"occupation|profession|cleaner|manager|\bjob\b",
    "relationship": r"relationship|partner|spouse|children|\bparent",
    "sex": r"\bsex\b|\bmen\b|\bwomen\b|\bmale\b|female|\bgirls?\b|\bboys?\b",
    "hours per week": r"hours.per.week|part-time|full-time|overtime|hours",
    "income": r"income|salary|earn|wage",
}


def _grown() -> tuple[Case, ...]:
    return tuple(case for case in knowledge.shipped().cases if case.task in GROWN)


CASES = _grown()


def _marked() -> Iterator[tuple[Case, str, str]]:
    """The cases whose id tells language and register."""
    for case in CASES:
        if found := _MARK.search(case.id):
            yield case, found["language"], found["register"]


def _side(case: Case) -> str:
    return "unsafe" if case.unsafe else "safe"


def _counted(words: Mapping[str, str], task: str) -> Counter[tuple[str, ...]]:
    cells: Counter[tuple[str, ...]] = Counter(
        {(n, s): 0 for n in words for s in ("unsafe", "safe")}
    )
    for name, pattern in words.items():
        wanted = re.compile(pattern, re.IGNORECASE)
        cells.update((name, _side(c)) for c in CASES if c.task == task and wanted.search(c.text))
    return cells


def _show_thin(title: str, cells: Counter[tuple[str, ...]], least: int) -> None:
    thin = sorted((count, *cell) for cell, count in cells.items() if count < least)
    print(f"{title}: {len(thin)} of {len(cells)} cells below {least}")
    for count, *cell in thin:
        print(f"  {count:4d}  {' / '.join(map(str, cell))}")


def test_every_mark_is_known() -> None:
    for case, language, register in _marked():
        assert language in (*LANGUAGES, "it") and register in REGISTERS, case.id


def test_both_sides_speak_every_language() -> None:
    cells: Counter[tuple[str, ...]] = Counter(
        (case.task, language, _side(case)) for case, language, _ in _marked()
    )

    _show_thin("languages", cells, 60)
    for task in GROWN:
        for language in LANGUAGES:
            assert min(cells[task, language, side] for side in ("unsafe", "safe")) >= 25, language


def test_a_quarter_of_the_marked_cases_is_not_english() -> None:
    languages = Counter(language for _, language, _ in _marked())

    assert 1 - languages["en"] / languages.total() > 0.25


def test_no_register_gives_the_label_away() -> None:
    cells: Counter[tuple[str, ...]] = Counter(
        (case.task, register, _side(case)) for case, _, register in _marked()
    )

    _show_thin("registers", cells, 30)
    for task in GROWN:
        for register in REGISTERS:
            unsafe, safe = cells[task, register, "unsafe"], cells[task, register, "safe"]
            assert min(unsafe, safe) >= 8, (task, register)
            assert 0.2 < unsafe / (unsafe + safe) < 0.7, (task, register)


def test_every_kind_of_harm_has_harmless_neighbours() -> None:
    cells = Counter((case.task, case.category, _side(case)) for case in CASES)

    harms = {(task, category) for task, category, side in cells if side == "unsafe"}
    for task, category in harms:
        unsafe, safe = cells[task, category, "unsafe"], cells[task, category, "safe"]
        assert safe >= 0.4 * unsafe, (task, category)


def test_half_of_the_cases_or_more_are_safe() -> None:
    for task in GROWN:
        sides = Counter(_side(case) for case in CASES if case.task == task)
        assert sides["safe"] >= sides["unsafe"]


@pytest.mark.parametrize("task", GROWN)
def test_programming_languages_stand_on_both_sides(task: str) -> None:
    cells = _counted(_WRITTEN_IN, task)

    _show_thin(f"programming languages of {task}", cells, 10)
    common = ("Python", "JavaScript", "Java", "C#", "C", "Go", "Rust", "shell", "SQL")
    for name in common:
        assert min(cells[name, "unsafe"], cells[name, "safe"]) >= 3, name


def test_every_protected_trait_stands_on_both_sides() -> None:
    cells = _counted(_TRAITS, "bias")

    _show_thin("traits", cells, 20)
    assert min(cells.values()) >= 5


def test_a_rationale_is_one_sentence_of_prose() -> None:
    for case in CASES:
        assert "\n" not in case.rationale and case.rationale.endswith("."), case.id
        assert 30 < len(case.rationale) < 200, case.id


def _pieces(text: str) -> frozenset[str]:
    """Runs of five characters, spaces made equal."""
    plain = " ".join(text.casefold().split())
    return frozenset(plain[at : at + 5] for at in range(max(1, len(plain) - 4)))


def _near_copies(least: float) -> Iterator[tuple[Case, Case]]:
    """Pairs of one task and label whose pieces overlap by at least `least` (Jaccard).

    Sets that overlap so much share one of their rarest pieces: only such pairs are compared.
    """
    sets = [_pieces(case.text) for case in CASES]
    common = Counter(piece for each in sets for piece in each)
    owners: dict[tuple[str, bool, str], list[int]] = {}
    for number, (case, own) in enumerate(zip(CASES, sets, strict=True)):
        rarest = sorted(own, key=lambda piece: (common[piece], piece))
        prefix = rarest[: len(own) - int(least * len(own)) + 1]
        found: set[int] = set()
        for piece in prefix:
            met = owners.setdefault((case.task, case.unsafe, piece), [])
            found.update(met)
            met.append(number)
        for other in found:
            if len(own & sets[other]) >= least * len(own | sets[other]):
                yield CASES[other], case


def test_no_two_cases_of_a_label_say_nearly_the_same() -> None:
    copies = [(one.id, other.id) for one, other in _near_copies(0.75)]

    assert copies == []


def test_near_copies_are_rare() -> None:
    assert sum(1 for _ in _near_copies(0.6)) < 0.01 * len(CASES)
