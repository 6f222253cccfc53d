"""What people say of decisions: that a finding was none, or that something was missed.

Feedback names a request and a finding, and quotes nothing. It changes no verdict: it says where to
look, and what a replay is measured by.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args

from bluecode.defenses.tables import Row, Tables, TablesError
from bluecode.defenses.verdict import Category

Said = Literal["false_positive", "missed"]
SAID: Final[tuple[Said, ...]] = get_args(Said)
_REQUEST = re.compile(r"bc-[0-9a-f]{16}")
_RULE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_BY = re.compile(r"[\w][\w .@+-]{0,79}|")
_CATEGORIES: Final = tuple(category.value for category in Category)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS feedback (
    request_id TEXT NOT NULL, said TEXT NOT NULL, subject TEXT NOT NULL, by TEXT NOT NULL,
    at TEXT NOT NULL, PRIMARY KEY (request_id, said, subject, by)
);
"""


class FeedbackError(Exception):
    """Feedback that cannot be taken, or a place for it that cannot be used; the message says which,
    and what would do."""


class FeedbackLost(FeedbackError):
    """The place for it cannot be used: the same may be said again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one person said of one decision. Raises `FeedbackError` where it is none."""

    request_id: str
    said: Said
    subject: str = ""
    """The rule that was wrong, or the category that was missed; all of it where empty."""
    by: str = ""
    """A name, or that of a proxy key; empty where nobody gave one."""
    at: str = ""

    def __post_init__(self) -> None:
        if not _REQUEST.fullmatch(self.request_id):
            raise FeedbackError("A request's id looks like bc-0123456789abcdef.")
        if self.said not in SAID:
            raise FeedbackError(f"Feedback is one of {', '.join(SAID)}.")
        if self.said == "missed" and self.subject not in ("", *_CATEGORIES):
            raise FeedbackError(f"What was missed is one of {', '.join(_CATEGORIES)}.")
        if self.subject and not _RULE.fullmatch(self.subject):
            raise FeedbackError("A rule looks like python.weak_hash.")
        if not _BY.fullmatch(self.by):
            raise FeedbackError("A name has 1-80 letters, digits, blanks or . _ @ + -.")


class FeedbackStore:
    """Feedback in tables. Every method is one transaction and raises `FeedbackLost`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._name = f"{tables.prefix}feedback"

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._tables.place

    def add(self, given: Feedback) -> bool:
        """Keep it; False where the same was said by the same before."""
        values = {"id": given.request_id, "said": given.said, "subject": given.subject}
        made = self._run(
            f"INSERT INTO {self._name} VALUES (:id, :said, :subject, :by, :at)"
            " ON CONFLICT DO NOTHING RETURNING at",
            values | {"by": given.by, "at": given.at or _now()},
            writing=True,
        )
        return bool(made)

    def remove(self, request_id: str) -> int:
        """Take back all that was said of a request; how much that was."""
        return len(
            self._run(
                f"DELETE FROM {self._name} WHERE request_id = :id RETURNING at",
                {"id": request_id},
                writing=True,
            )
        )

    def all(self) -> list[Feedback]:
        """All of it, oldest first."""
        rows = self._run(
            f"SELECT request_id, said, subject, by, at FROM {self._name} ORDER BY at, request_id",
            {},
        )
        return [
            Feedback(request_id=row[0], said=row[1], subject=row[2], by=row[3], at=row[4])
            for row in rows
        ]

    def _run(self, statement: str, values: dict[str, str], *, writing: bool = False) -> list[Row]:
        try:
            self._tables.prepare(_SCHEMA)
            with self._tables.begin(writing=writing) as rows:
                return rows.execute(statement, **values)
        except TablesError as error:
            raise FeedbackLost(f"Feedback cannot be kept or read: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
