"""`bluecode replay`: what another policy would have made of the requests of the past.

An audit holds what was found and how sure it was, not the texts: so a policy can be tried on it,
detectors cannot. What a detector that was switched off would have found is in no audit, nor is what
a detector kept to itself because it was too unsure of it. Where the full text was captured, the
detectors of now have looked at it anew. What people said of decisions is held against what would
become of them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bluecode.defenses.policy import Policy
from bluecode.defenses.rollout import Chosen, Rollout
from bluecode.defenses.verdict import Action, Category, Finding
from bluecode.proxy.audit_lines import AuditLine, NoAuditLine
from bluecode.proxy.config import ConfigError
from bluecode.proxy.feedback import Feedback, Said

REPORTED: Final = 0.5
"""Below this score a detector of prompts reports nothing."""
_PROMPTS: Final = (Category.BIAS, Category.MALICE, Category.INJECTION)
_WORDS: Final[Mapping[Said, str]] = {"false_positive": "false positives", "missed": "missed"}
_HEEDED: Final[Mapping[Said, str]] = {
    "false_positive": "pass without a remark",
    "missed": "be warned about or blocked",
}
_SHOWN: Final = 10
_EXAMPLES: Final = 5

Audit = Iterable[AuditLine | NoAuditLine]
Change = tuple[Action, Action]
"""What was enforced, and what would be."""


def run(
    policy: Policy,
    audits: Iterable[Audit],
    *,
    style: str,
    texts: bool = False,
    feedback: Iterable[Feedback] = (),
) -> int:
    """Replay and print. Raises `ConfigError` for an audit that cannot be read.

    1 where requests would be blocked that were not, 3 where lines could not be read.
    """
    replay = Replay(policy, texts=texts, feedback=feedback)
    try:
        for audit in audits:
            for line in audit:
                replay.add(line)
    except OSError as error:
        raise ConfigError(
            f"The audit ({error.filename}) cannot be read: {error.strerror}."
        ) from error
    if style == "json":
        print(json.dumps(replay.as_json(), indent=2))
    else:
        _print(replay)
    return 3 if replay.unread else int(replay.newly_blocked > 0)


@dataclass(slots=True)
class Changed:
    """Requests that one change concerns."""

    requests: int = 0
    conversations: set[str] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    scopes: Counter[str] = field(default_factory=Counter)


class Replay:
    """One policy, and what it would have made of what was added."""

    def __init__(
        self, policy: Policy, *, texts: bool = False, feedback: Iterable[Feedback] = ()
    ) -> None:
        self.policy = policy
        self._texts = texts
        self._said: dict[str, set[Said]] = {}
        for item in feedback:
            self._said.setdefault(item.request_id, set()).add(item.said)
        self.said: Counter[Said] = Counter()
        """Requests of which people said that the decision was wrong."""
        self.heeded: Counter[Said] = Counter()
        """Those of them that would now be decided as they said."""
        self.unanswered = 0
        """Those that the provider would be asked now, and was not asked then."""
        self._rollout = Rollout(policy)
        self.requests = 0
        """Those that were decided on, and so can be decided on again."""
        self.undecided = 0
        """Those that ended otherwise: an error, a client that left, a refusal for its form."""
        self.unread = 0
        """Lines that are none of an audit."""
        self.partial = 0
        """Lines of an older version, whose findings are taken for severe."""
        self.watched = 0
        """Those that would be blocked if the policy did not only watch them."""
        self.changes: dict[Change, Changed] = {}
        self.first = self.last = ""

    @property
    def newly_blocked(self) -> int:
        return sum(
            told.requests for (_, after), told in self.changes.items() if after is Action.BLOCK
        )

    def add(self, line: AuditLine | NoAuditLine) -> None:
        """Decide on one request of the past."""
        if isinstance(line, NoAuditLine):
            self.unread += 1
        elif line.decision is None or line.for_its_form:
            self.undecided += 1
        else:
            self._decide(line, line.decision)

    def _decide(self, line: AuditLine, before: Action) -> None:
        self.requests += 1
        self.partial += not line.whole
        self.first = min(self.first or line.time, line.time)
        self.last = max(self.last, line.time)
        line = self._less_disabled(line)
        chosen = self._rollout.choose(line.asker, line.conversation)
        policy = chosen.policy
        verdict = policy.decide(line.findings, failed=line.failed, unchecked=line.unchecked)
        self.watched += verdict.shadow and verdict.action is Action.BLOCK
        after = Action.ALLOW if verdict.shadow else verdict.action
        self.unanswered += line.unanswered and after is not Action.BLOCK
        for said in self._said.get(line.request_id, ()):
            self.said[said] += 1
            passes = verdict.action is Action.ALLOW
            self.heeded[said] += passes if said == "false_positive" else not passes
        if after is not before:
            self._note(line, chosen, (before, after))

    def _less_disabled(self, line: AuditLine) -> AuditLine:
        off = self.policy.disabled
        return replace(
            line,
            findings=tuple(found for found in line.findings if found.detector not in off),
            failed=tuple(name for name in line.failed if name not in off),
        )

    def _note(self, line: AuditLine, chosen: Chosen, change: Change) -> None:
        told = self.changes.setdefault(change, Changed())
        told.requests += 1
        told.conversations.add(line.conversation or line.request_id)
        if len(told.examples) < _EXAMPLES:
            told.examples.append(line.request_id)
        reasons = set(_reasons(chosen.policy, line, change))
        if change[1] < change[0]:  # what was found then and is not any more
            reasons |= {it.rule for it in line.before} - {it.rule for it in line.findings}
        told.rules.update(reasons)
        told.keys[line.asker.key or "none"] += 1
        told.scopes[chosen.scope] += 1

    @property
    def notes(self) -> list[str]:
        """What the figures rest on."""
        told = []
        if self.partial:
            told.append(
                f"{self.partial} requests were written down by an older version, which did not say"
                " how severe a finding is: all of theirs are taken for severe."
            )
        policies = [self.policy, *(item.policy for item in self.policy.policies)]
        least = min((_least(policy) for policy in policies), default=1.0)
        if self.unanswered:
            told.append(
                f"{self.unanswered} requests were blocked then and would be answered now; what the"
                " model would say nobody knows."
            )
        for said, count in sorted(self.said.items()):
            told.append(
                f"{count} requests are called {_WORDS[said]};"
                f" {self.heeded[said]} of them would {_HEEDED[said]}."
            )
        if least < REPORTED and not self._texts:
            told.append(
                f"The policy warns from {least:g} on; below {REPORTED:g} detectors of prompts"
                " report nothing, so an audit cannot tell what that adds."
            )
        return told

    def as_json(self) -> dict[str, Any]:
        return {
            "policy": self.policy.version,
            "from": self.first,
            "to": self.last,
            "requests": self.requests,
            "unchanged": self.requests - sum(item.requests for item in self.changes.values()),
            "newly_blocked": self.newly_blocked,
            "would_block_in_shadow": self.watched,
            "undecided": self.undecided,
            "unread_lines": self.unread,
            "unanswered": self.unanswered,
            "feedback": {
                said: {"requests": count, "heeded": self.heeded[said]}
                for said, count in sorted(self.said.items())
            },
            "changes": [_changed(change, told) for change, told in self._sorted()],
            "notes": self.notes,
        }

    def _sorted(self) -> list[tuple[Change, Changed]]:
        return sorted(self.changes.items(), key=lambda item: (-item[0][1], -item[1].requests))


def _least(policy: Policy) -> float:
    told = (policy.thresholds.get(category) for category in _PROMPTS)
    return min((threshold.warn for threshold in told if threshold is not None), default=1.0)


def _reasons(policy: Policy, line: AuditLine, change: Change) -> Iterator[str]:
    """What leads to the new action; where that is milder, what does not lead to the old one."""
    before, after = change
    stricter = after > before
    for rule, action in _actions(policy, line.findings):
        if (action >= after) if stricter else (action < before):
            yield rule
    if line.failed and (policy.on_failure >= after if stricter else policy.on_failure < before):
        yield from (f"failed: {name}" for name in line.failed)
    for reason in line.unchecked:
        action = policy.unchecked.get(reason, Action.ALLOW)
        if (action >= after) if stricter else (action < before):
            yield f"unchecked: {reason}"


def _actions(policy: Policy, findings: Sequence[Finding]) -> Iterator[tuple[str, Action]]:
    for found in findings:
        action = policy.action_for(found)
        yield found.rule, Action.ALLOW if policy.shadow else action


def _changed(change: Change, told: Changed) -> dict[str, Any]:
    before, after = change
    return {
        "from": before.name.lower(),
        "to": after.name.lower(),
        "requests": told.requests,
        "conversations": len(told.conversations),
        "rules": dict(told.rules.most_common()),
        "keys": dict(told.keys.most_common()),
        "scopes": dict(told.scopes.most_common()),
        "examples": told.examples,
    }


def _print(replay: Replay) -> None:
    console = Console(highlight=False, soft_wrap=True)
    told = replay.as_json()
    if told["changes"]:
        console.print(_table(told["changes"]))
    span = f", {told['from'][:10]} to {told['to'][:10]}" if replay.requests else ""
    console.print(
        f"{told['requests']} requests{span}: {told['unchanged']} as before,"
        f" {told['newly_blocked']} newly blocked;"
        f" {told['would_block_in_shadow']} would be blocked but are only watched."
    )
    if replay.undecided:
        console.print(f"{replay.undecided} more ended without a verdict and cannot be replayed.")
    if replay.unread:
        console.print(f"{replay.unread} lines are none of an audit and were not counted.")
    for note in told["notes"]:
        console.print(note)


def _table(changes: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("Change", no_wrap=True)
    table.add_column("Requests", justify="right")
    table.add_column("Conversations", justify="right")
    table.add_column("Where", overflow="fold")
    for item in changes:
        rules = "\n".join(_first(item["rules"]))
        rest = [f"{part}: {', '.join(_first(item[part]))}" for part in ("keys", "scopes")]
        rest.append(f"for example {item['examples'][0]}")
        where = Text.assemble(rules, ("\n" + "\n".join(rest), "dim"))
        numbers = (str(item["requests"]), str(item["conversations"]))
        table.add_row(f"{item['from']} → {item['to']}", *numbers, where)
    return table


def _first(counted: dict[str, int]) -> list[str]:
    shown = [f"{name} {count}" for name, count in list(counted.items())[:_SHOWN]]
    more = len(counted) - _SHOWN
    return [*shown, f"and {more} more"] if more > 0 else shown
