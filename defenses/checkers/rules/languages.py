"""The languages that have rules, by canonical name; each is loaded with its first snippet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.rule import Language
from bluecode.defenses.checkers.rules.state import Run


@dataclass(frozen=True, slots=True)
class Dialect:
    """A language's rules and what follows its code."""

    rules: Language
    follow: Callable[[Run, Parsed], None]
    more: frozenset[str] = frozenset()
    """Weaknesses that the follower finds beyond the rules."""

    @property
    def weaknesses(self) -> frozenset[str]:
        """Everything that can be claimed of the language, without the language's name."""
        rules = self.rules
        flows = [item.rule for item in rules.sinks] + [item.rule for item in rules.stores]
        wrong = [item.rule for item in rules.properties] + [item.rule for item in rules.settings]
        return frozenset(flows) | frozenset(wrong) | self.more


_RESULTS = frozenset({"log_injection", "xss", "ssrf", "header_injection"})
"""What the engine sees in any language, from what functions give back and where headers are set."""
_COMPARES = frozenset(
    {"timing_comparison", "spoofable_identity", "hardcoded_secret", "plain_password"}
)
"""What it sees in any language where values are compared."""
_BACKTRACKS = frozenset({"redos"})


def general(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet with the engine alone."""
    Flow(run).snippet(parsed.tree)


def _javascript() -> Dialect:
    from bluecode.defenses.checkers.rules import javascript, javascript_flow

    return Dialect(
        javascript.RULES,
        javascript_flow.follow,
        _RESULTS | _COMPARES | _BACKTRACKS | {"prototype_pollution"},
    )


def _c() -> Dialect:
    from bluecode.defenses.checkers.rules import c, c_flow

    return Dialect(c.RULES, c_flow.follow, _RESULTS | _COMPARES | _BACKTRACKS | c_flow.MEMORY)


def _go() -> Dialect:
    from bluecode.defenses.checkers.rules import go

    return Dialect(go.RULES, general, _RESULTS | _COMPARES)


def _java() -> Dialect:
    from bluecode.defenses.checkers.rules import java, java_flow

    return Dialect(java.RULES, java_flow.follow, _RESULTS | _COMPARES | _BACKTRACKS)


def _php() -> Dialect:
    from bluecode.defenses.checkers.rules import php, php_flow

    return Dialect(php.RULES, php_flow.follow, _RESULTS | _COMPARES | _BACKTRACKS)


def _csharp() -> Dialect:
    from bluecode.defenses.checkers.rules import csharp, csharp_flow

    return Dialect(
        csharp.RULES,
        csharp_flow.follow,
        _RESULTS | _COMPARES | _BACKTRACKS | {"missing_csrf", "input_validation_off"},
    )


def _ruby() -> Dialect:
    from bluecode.defenses.checkers.rules import ruby, ruby_flow

    return Dialect(ruby.RULES, ruby_flow.follow, _RESULTS | _COMPARES | _BACKTRACKS)


def _rust() -> Dialect:
    from bluecode.defenses.checkers.rules import rust, rust_flow

    return Dialect(rust.RULES, rust_flow.follow, _RESULTS | _COMPARES | {"unsafe_memory"})


def _bash() -> Dialect:
    from bluecode.defenses.checkers.rules import shell

    return Dialect(shell.RULES, shell.follow, shell.CLAIMS)


LANGUAGES: Mapping[str, Callable[[], Dialect]] = {
    "javascript": cache(_javascript),
    "typescript": cache(_javascript),
    "c": cache(_c),
    "cpp": cache(_c),
    "go": cache(_go),
    "java": cache(_java),
    "php": cache(_php),
    "csharp": cache(_csharp),
    "ruby": cache(_ruby),
    "rust": cache(_rust),
    "bash": cache(_bash),
}
