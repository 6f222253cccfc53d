"""What the sandbox must know of a language, and what it is asked to run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A language that has a guest."""

    name: str
    """Its name in programs, and its table in `guests.toml`."""

    harness: str
    """The folder under `guests/` with the code that runs inside the guest."""

    suffix: str
    """How the harness's files end; the one that is loaded is called `harness`."""

    library: str
    """Where the guest finds its library while it is initialised."""

    compiled: bool = False
    """Its programs are compiled first, by a compiler that need not be there."""


@dataclass(frozen=True, slots=True)
class Program:
    """One thing to run. The job's form is between the language's harness and its caller."""

    language: str
    job: bytes
    source: str | None = None
    """What is to be compiled first, where the language asks for it."""
    dialect: str = ""
