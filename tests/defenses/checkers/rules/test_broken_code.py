"""Whatever a snippet holds, it is read or said to be unreadable: no other way out."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rule_cases import CASES

from bluecode.defenses.checkers.rules.checker import find
from bluecode.defenses.checkers.rules.languages import LANGUAGES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError

CODES = sorted({code for _, _, _, code in CASES})
MARKS = [
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    '"',
    "'",
    ",",
    "=",
    ".",
    "->",
    "$",
    "\n",
    "\u00e9",
    "if",
]


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Code cut, joined to other code, and strewn with marks."""
    code = draw(st.sampled_from(CODES)) + draw(st.sampled_from([" ", "\n"]))
    code += draw(st.sampled_from(CODES))
    first = draw(st.integers(0, len(code)))
    code = code[first : draw(st.integers(first, len(code)))]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(code)))
        code = code[:at] + draw(st.sampled_from(MARKS)) + code[at + draw(st.integers(0, 3)) :]
    return code


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(code=broken(), language=st.sampled_from(sorted(LANGUAGES)))
def test_broken_code_is_read_or_said_to_be_unread(code: str, language: str) -> None:
    try:
        findings = find(Snippet(code=code, language=language, origin="fence"))
    except DetectorError as error:
        assert error.unchecked
        findings = error.findings
    lines = code.count("\n") + 1
    for finding in findings:
        assert finding.span is not None
        assert 1 <= finding.span[0] <= finding.span[1] <= lines + 1
        assert 0 < finding.score < 1


CUT = {
    "javascript": """      done();
    });
  });

  it('finds the note of a guest', (done) => {
    db.query("SELECT body FROM notes WHERE guest = '" + guest + "'", (error, rows) => {
      if (error) {
        return done(error);
""",
    "java": """        });
    }

    void list(HttpServletRequest request) {
        runner.submit(() -> {
            Runtime.getRuntime().exec("sh -c ls " + request.getParameter("folder"));
""",
    "php": """ * @return array
 */
    function rows($db) {
        return array_map(function ($row) {
            return strtoupper($row);
        }, iterator_to_array($db->query("SELECT * FROM notes WHERE id = " . $_GET['id']),
""",
}
"""Pieces of longer files that begin and end inside of calls."""


@pytest.mark.parametrize("language", CUT)
def test_a_piece_that_is_cut_out_of_calls_is_read(language: str) -> None:
    rules = {f.rule for f in find(Snippet(code=CUT[language], language=language, origin="fence"))}
    assert rules & {f"{language}.sql_injection", f"{language}.command_injection"}
