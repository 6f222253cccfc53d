"""What each command does once its settings are read."""

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from bluecode.defenses.conversation import Role
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.proxy import inspection, logs
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.engine import Engine
from bluecode.proxy.inspection import Inspected, Source

if TYPE_CHECKING:
    from bluecode.proxy.replay_command import Audit

Ended = TypeVar("Ended")
Look = Callable[[Engine], AsyncIterator[Inspected]]


def serve(config: Config) -> int:
    """Serve until told to stop."""
    from bluecode.proxy import serving

    logs.set_up(config.log_level, config.log_format)
    policy = _policy(config)
    _run(serving.serve, config, policy)
    return 0


def demo(config: Config, *, as_json: bool) -> int:
    """Show what BlueCode does."""
    from bluecode.proxy.demo import run

    logs.set_up("warning", "text")
    return _run(run, config, _policy(config), as_json)


def check(config: Config, files: Sequence[str], *, language: str | None, style: str) -> int:
    """Check code in files and print what was found."""
    spoken = inspection.canonical(language)
    sources = [Source.read(name) for name in files]
    return _inspect(config, lambda engine: inspection.check(engine, sources, spoken), style)


def screen(
    config: Config, files: Sequence[str], *, role: str, style: str, explain: bool = False
) -> int:
    """Screen texts and print what was found, and on demand what stands behind it."""
    sources = [Source.read(name) for name in files]
    look = partial(inspection.screen, sources=sources, role=Role(role))
    # No code is checked here: the sandbox need not be warmed.
    return _inspect(config, look, style, without=frozenset({"dynamic"}), explain=explain)


def replay(
    config: Config,
    files: Sequence[Path],
    *,
    style: str,
    private_keys: Sequence[Path] = (),
    heed: bool = False,
) -> int:
    """Show what the policy would have made of requests in an audit: files, or the database that
    the config names; or with private keys, in what was captured."""
    from bluecode.proxy import audit_lines, replay_command, stores
    from bluecode.proxy.feedback import FeedbackError

    policy = _policy(config)
    try:
        feedback = stores.feedback(config).all() if heed else []
    except FeedbackError as error:
        raise ConfigError(str(error)) from error
    if private_keys:
        told = _rechecked(config, policy, files, private_keys)
        return replay_command.run(policy, [told], style=style, texts=True, feedback=feedback)
    audits: Iterable[replay_command.Audit] = map(audit_lines.read, files)
    if not files:
        if config.audit_database is None:
            raise ConfigError("Name files of an audit, or give a config with `audit_database`.")
        from bluecode.proxy import audit_database  # its libraries are an extra

        audits = [audit_lines.parsed(audit_database.lines(config.audit_database.get()))]
    return replay_command.run(policy, audits, style=style, feedback=feedback)


def _rechecked(
    config: Config, policy: Policy, files: Sequence[Path], private_keys: Sequence[Path]
) -> "Audit":
    if importlib.util.find_spec("nacl") is None:
        raise ConfigError("Private keys need `pynacl`; install BlueCode with its `capture` extra.")
    from bluecode.proxy.capture_keys import Opener
    from bluecode.proxy.recheck import recheck

    given = files or ([config.capture] if config.capture is not None else [])
    if not given:
        raise ConfigError("Name what was captured, or give a config with `capture`.")
    keys = [Opener.read(path) for path in private_keys]
    try:
        return _run(partial(recheck, config, policy, given, keys, on_progress=_progress))
    except OSError as error:
        raise ConfigError(
            f"The capture ({error.filename}) cannot be read: {error.strerror}."
        ) from error


def capture_key(path: Path) -> int:
    """Make a pair of keys: the private one in a file, the public one printed."""
    if importlib.util.find_spec("nacl") is None:
        raise ConfigError("Keys need `pynacl`; install BlueCode with its `capture` extra.")
    from bluecode.proxy import capture_keys

    print(capture_keys.make(path))
    print(
        f"bluecode: the private key is in {path}; keep it away from where BlueCode serves, and a"
        " copy of it.",
        file=sys.stderr,
    )
    return 0


def _inspect(
    config: Config,
    look: Look,
    style: str,
    *,
    without: frozenset[str] = frozenset(),
    explain: bool = False,
) -> int:
    policy = _policy(config)
    loaded = replace(policy, disabled=policy.disabled | without)

    async def run() -> list[Inspected]:
        async with Engine.open(config, loaded, on_progress=_progress) as engine:
            return [item async for item in look(engine)]

    inspected = _run(run)
    _present(policy, inspected, style)
    if explain and style == "text":
        from bluecode.proxy import report
        from bluecode.proxy.explanation import Explanation

        explanation = Explanation(config)
        report.print_lines(line for item in inspected for line in explanation.of(item))
    return inspection.status_of(policy, inspected)


def _run(main: Callable[..., Coroutine[Any, Any, Ended]], *arguments: Any) -> Ended:
    """Run to the end; an error that came alone out of task groups is raised as itself."""
    try:
        return anyio.run(main, *arguments, backend_options={"use_uvloop": _uvloop_installed()})
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None


def _uvloop_installed() -> bool:
    """uvloop gathers small writes into one system call; it does not exist for every platform."""
    return importlib.util.find_spec("uvloop") is not None


def _present(policy: Policy, inspected: Sequence[Inspected], style: str) -> None:
    if style == "text":
        from bluecode.proxy import report

        report.print_inspected(policy, inspected)
    elif style == "json":
        from bluecode.proxy import printing, report

        printing.print_json(report.inspected_json(policy, inspected))
    else:
        from bluecode.proxy import printing, sarif

        printing.print_json(sarif.log_of(policy, inspected))


def _policy(config: Config) -> Policy:
    try:
        return Policy.load(config.policy)
    except PolicyError as error:
        raise ConfigError(str(error)) from error


def _progress(step: str) -> None:
    if sys.stderr.isatty():
        print(f"bluecode: {step}", file=sys.stderr)
