"""What one run of untrusted code may use."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1024**2

WASM_STACK = 4 * MEBIBYTE
"""Bytes of native stack for a guest's calls; the same for all runs, since compiled code and the
threads that run it are made for it. Deeper recursion ends with `trapped`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The budget of one run. Fuel decides verdicts, because it is the same on every machine;
    the seconds are the backstop for a machine that is slow."""

    fuel: int = 2_000_000_000
    """Units of wasmtime fuel, about one an instruction; a second of work is some 5-10 billion."""

    seconds: float = 1.0
    """Wall-clock seconds of the guest; past them the run ends with `timed_out`."""

    memory: int = 128 * MEBIBYTE
    """Bytes of linear memory, the interpreter's own included; a guest that asks for more ends
    with `out_of_memory`."""

    events: int = 2_000
    """Events the guest may report; one more ends the run with `flooded`."""

    event_bytes: int = MEBIBYTE
    """Bytes of all events together; one more ends the run with `flooded`."""

    output: int = 256 * 1024
    """Bytes written to standard output and error; one more ends the run with `flooded`."""
