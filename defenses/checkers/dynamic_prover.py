"""The prover of every language that the sandbox runs: one name, one readiness, a checker each."""

from collections.abc import Mapping, Sequence

from bluecode.defenses.checkers.c_dynamic import CDynamic, Compiles
from bluecode.defenses.checkers.dynamic import DynamicChecker, DynamicReport
from bluecode.defenses.checkers.javascript_dynamic import JavaScriptDynamic
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Finding


class DynamicProver:
    """Proves or refutes claims about a snippet by running it, in whichever language it is."""

    name = "dynamic"

    def __init__(self, sandbox: Compiles) -> None:
        self._sandbox = sandbox
        checkers = (DynamicChecker(sandbox), JavaScriptDynamic(sandbox), CDynamic(sandbox))
        self._checkers: Mapping[str, DynamicChecker | JavaScriptDynamic | CDynamic] = {
            language: checker for checker in checkers for language in checker.languages
        }

    @property
    def languages(self) -> frozenset[str]:
        """All that one of its checkers runs."""
        return frozenset(self._checkers)

    @property
    def ready(self) -> bool:
        """Is the sandbox warm?"""
        return self._sandbox.ready

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> DynamicReport:
        """Run the snippet. Raises `DetectorError` when the sandbox cannot be used, or does not run
        its language."""
        checker = self._checkers.get(snippet.language or "")
        if checker is None:
            raise DetectorError(f"the sandbox does not run `{snippet.language}`")
        return await checker.test(snippet, claims)
