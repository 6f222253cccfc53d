"""`bluecode doctor`: does all that is needed work, here and now?

Everything is tried, nothing is taken from what the settings promise: a message is screened, code is
checked, a program runs in the sandbox, the upstream is asked for its models, and so are store,
database and receiver of traces whether they are there. No key is shown.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from rich.console import Console

from bluecode.defenses.checkers.c_observed import Look
from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.model import ModelError
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.record_store import StoreError, of_state
from bluecode.proxy import gate, neighbours, stores
from bluecode.proxy.config import Config, ConfigError, Secret, UpstreamConfig, key_of
from bluecode.proxy.diagnosis import Finding, show
from bluecode.proxy.engine import Engine
from bluecode.proxy.sandbox_command import LIMITS, program
from bluecode.proxy.upstream import Call, HttpUpstream, UpstreamError
from bluecode.sandbox import landlock
from bluecode.sandbox.outcome import SandboxUnavailable

if TYPE_CHECKING:
    from bluecode.sandbox.workers import Sandbox

UPSTREAM_SECONDS = 10.0
SANDBOX_SECONDS = 60.0
"""A first start compiles the guests."""
_MODELS_BYTES = 8 * 1024**2
_PROGRAMS = {"python": "x = 6 * 7\n", "javascript": "const x = 6 * 7;\n"}


def run(config: Config, *, style: str) -> int:
    """Look at everything and print what was found; 1 where something needed does not work."""
    found = anyio.run(_examine, config)
    if style == "json":
        healthy = not any(item.state == "failed" for item in found)
        told = {"healthy": healthy, "parts": [asdict(item) for item in found]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(Console(highlight=False), found)
    return 1 if any(item.state == "failed" for item in found) else 0


async def _examine(config: Config) -> list[Finding]:
    found = [*_versions(), *_settings(config)]
    policy = _policy(config, found)
    found += await _upstreams(config)
    if policy is not None:
        found += await _sandbox(config, policy)
        found.append(await _engine(config, policy))
    found += await neighbours.all_of(config)
    found += _records(config)
    found += await _judge(config)
    return found


def _versions() -> Iterator[Finding]:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    named = ["wasmtime", "aiohttp", "starlette", "uvicorn"]
    named += ["litellm"] if importlib.util.find_spec("litellm") is not None else []
    others = ", ".join(f"{name} {metadata.version(name)}" for name in named)
    told = f"bluecode {metadata.version('bluecode')}, {python}, {system}; {others}"
    yield Finding("versions", "ok", told)


def _settings(config: Config) -> Iterator[Finding]:
    keys = len(config.proxy_keys)
    told = f"listens on {config.listen}, {keys} proxy keys, audit to {config.audit}"
    open_to_all = not keys and not config.host.startswith("127.") and config.host != "::1"
    if open_to_all:
        told += "; whoever reaches this address may use it: set `proxy_keys`"
    yield Finding("settings", "note" if open_to_all else "ok", told)
    if config.audit not in ("stdout", "none"):
        folder = Path(config.audit).resolve().parent
        if not folder.is_dir():
            yield Finding("audit", "failed", f"the folder {folder} does not exist")


def _policy(config: Config, found: list[Finding]) -> Policy | None:
    try:
        policy = Policy.load(config.policy)
    except PolicyError as error:
        found.append(Finding("policy", "failed", str(error)))
        return None
    told = f"{config.policy or 'built in'}, version {policy.version}"
    if policy.shadow:
        told += "; shadow mode: verdicts are counted and not enforced"
    if policy.disabled:
        told += f"; disabled: {', '.join(sorted(policy.disabled))}"
    weaker = policy.shadow or bool(policy.disabled)
    found.append(Finding("policy", "note" if weaker else "ok", told))
    return policy


async def _upstreams(config: Config) -> list[Finding]:
    """The one upstream, or each of several, asked side by side; and which models each has."""
    if not config.upstreams:
        return [await upstream(config)]
    found: dict[str, Finding] = {}

    async def ask(one: UpstreamConfig) -> None:
        found[one.name] = await _one_of_several(config, one)

    async with anyio.create_task_group() as tasks:
        for one in config.all_upstreams:
            tasks.start_soon(ask, one)
    return [found[one.name] for one in config.all_upstreams]


async def _one_of_several(config: Config, one: UpstreamConfig) -> Finding:
    part = f"upstream, {one.name}"
    try:
        key = key_of(one)
    except ConfigError as error:
        return Finding(part, "failed", f"{error}")
    secret = None if key is None else Secret(key)
    alone = replace(config, upstream=one.upstream, upstream_key=secret, upstreams=())
    asked = await upstream(alone)
    return Finding(part, asked.state, f"{asked.told.rstrip('.')}; {_models_of(one)}")


def _models_of(one: UpstreamConfig) -> str:
    """For which models it is asked, and who is asked in its place."""
    if one.name == "default":
        return "for every other model"
    names = [*one.models, *(f"{alias} (as {model})" for alias, model in one.aliases.items())]
    told = f"for {', '.join(names)}" if names else "as a fallback alone"
    if one.protocols:
        told += f", in the protocols {', '.join(one.protocols)}"
    return f"{told}; then {', '.join(one.fallbacks)}" if one.fallbacks else told


async def upstream(config: Config) -> Finding:
    """Ask the upstream for its models, in bounded time."""
    if not config.upstream:
        return Finding("upstream", "failed", "none is set; give `--upstream URL`")
    if config.upstream == "demo":
        return Finding("upstream", "ok", "demo, the scripted model; it needs no network")
    if "://" in config.upstream:
        return await _asked(config)
    if importlib.util.find_spec("litellm") is None:
        told = f"{config.upstream} needs litellm: install BlueCode with its `litellm` extra"
        return Finding("upstream", "failed", told)
    told = f"{config.upstream} by litellm; not asked, since that would cost a request"
    return Finding("upstream", "note", told)


async def _asked(config: Config) -> Finding:
    """GET /models with the key that the settings hold, in the header of each protocol in turn."""
    provider = HttpUpstream(config.upstream, connect=UPSTREAM_SECONDS, read=UPSTREAM_SECONDS)
    status, body = 0, b""
    try:
        with anyio.fail_after(UPSTREAM_SECONDS):
            for headers in _headers(config):
                status, body = await _models(provider, headers)
                if status not in (400, 401, 403):
                    break
    except TimeoutError:
        told = f"{config.upstream} did not answer within {UPSTREAM_SECONDS:.0f} seconds"
        return Finding("upstream", "failed", told)
    except UpstreamError as error:
        return Finding("upstream", "failed", f"{config.upstream}: {error}")
    finally:
        await provider.close()
    return _heard(config, status, body)


def _headers(config: Config) -> Iterator[tuple[tuple[str, str], ...]]:
    if config.upstream_key is None:
        yield ()
        return
    key = config.upstream_key.get()
    yield (("authorization", f"Bearer {key}"),)
    yield (("x-api-key", key), ("anthropic-version", "2023-06-01"))
    yield (("x-goog-api-key", key),)


async def _models(
    provider: HttpUpstream, headers: tuple[tuple[str, str], ...]
) -> tuple[int, bytes]:
    call = Call(method="GET", path="/models", query="", headers=headers, body=b"")
    async with provider.send(call) as reply:
        return reply.status, await gate.read_reply(reply, _MODELS_BYTES)


def _heard(config: Config, status: int, body: bytes) -> Finding:
    if status in (401, 403) and config.upstream_key is None:
        told = f"{config.upstream} answers and asks for a key, which clients must bring"
        return Finding("upstream", "ok", told)
    if status in (401, 403):
        told = f"{config.upstream} answers, and refuses the key of the settings ({status})"
        return Finding("upstream", "failed", told)
    if status == 200 and (count := _count(body)) is not None:
        return Finding("upstream", "ok", f"{config.upstream} answers, with {count} models")
    if status >= 500:
        return Finding("upstream", "failed", f"{config.upstream} answers with status {status}")
    told = f"{config.upstream} answers, and lists no models (status {status})"
    return Finding("upstream", "note", told)


def _count(body: bytes) -> int | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    listed = told.get("data", told.get("models")) if isinstance(told, dict) else told
    return len(listed) if isinstance(listed, list) else None


async def _sandbox(config: Config, policy: Policy) -> list[Finding]:
    """Run a program in each language, and look at the process that did."""
    if "dynamic" in policy.disabled:
        told = "the policy disables `dynamic`: claims are not tried out"
        return [Finding("sandbox", "note", told)]
    from bluecode.sandbox.workers import Sandbox

    try:
        with anyio.fail_after(SANDBOX_SECONDS):
            async with Sandbox.open(cache=config.cache_dir, workers=1) as sandbox:
                await sandbox.warm()
                found = [await _tried(sandbox, *item) for item in _PROGRAMS.items()]
                found.append(await _compiler(sandbox))
                return [*found, *(_walls(pid) for pid in sandbox.processes)]
    except SandboxUnavailable as error:
        return [Finding("sandbox", "failed", f"cannot be used: {error}")]
    except TimeoutError:
        told = f"not ready within {SANDBOX_SECONDS:.0f} seconds"
        return [Finding("sandbox", "failed", told)]


async def _tried(sandbox: Sandbox, language: str, code: str) -> Finding:
    started = time.perf_counter()
    outcome = await sandbox.run(program(code, language), LIMITS)
    took = 1000 * (time.perf_counter() - started)
    ran = outcome.ended == "exited" and outcome.finished
    told = f"{language} runs ({took:.0f} ms)" if ran else f"{language} was ended: {outcome.ended}"
    return Finding(f"sandbox, {language}", "ok" if ran else "failed", told)


async def _compiler(sandbox: Sandbox) -> Finding:
    """Have the C compiler, where there is one, make and try a program."""
    if not sandbox.compiles:
        told = "no compiler: C and C++ are checked by rules alone; to run them, install bluecode[c]"
        return Finding("sandbox, c", "note", told)
    started = time.perf_counter()
    look = Look.at("int main(void) { return 6 * 7; }\n", "c", "bluemark")
    try:
        outcome = await sandbox.run(look.job, LIMITS)
    except SandboxUnavailable as error:  # the other languages' guests may be well
        return Finding("sandbox, c", "failed", f"c cannot be run: {error}")
    took = 1000 * (time.perf_counter() - started)
    jail = "with Landlock" if landlock.version() else "without Landlock"
    if outcome.ended == "exited" and outcome.finished:
        return Finding("sandbox, c", "ok", f"c compiles, jailed {jail}, and runs ({took:.0f} ms)")
    return Finding("sandbox, c", "failed", f"c was ended: {outcome.detail or outcome.ended}")


def _walls(pid: int) -> Finding:
    """What the kernel says of a worker process: the walls behind WebAssembly's own."""
    if sys.platform != "linux":
        told = "WebAssembly and resource limits; the system-call filter is Linux's alone"
        return Finding("walls", "note", told)
    try:
        status = dict(_pairs(Path(f"/proc/{pid}/status").read_text("utf-8")))
        limits = Path(f"/proc/{pid}/limits").read_text("utf-8")
    except OSError as error:
        return Finding("walls", "note", f"WebAssembly; the rest could not be seen ({error})")
    walls = {
        "no new privileges": status.get("NoNewPrivs") == "1",
        "system-call filter": status.get("Seccomp") == "2",
        "no files of others (Landlock)": landlock.version() > 0,
        "no files written": _limit(limits, "Max file size") == "0",
        "no core dumps": _limit(limits, "Max core file size") == "0",
        "bounded memory": _limit(limits, "Max data size") not in ("", "unlimited"),
    }
    standing = ["WebAssembly", *(name for name, stands in walls.items() if stands)]
    missing = [name for name, stands in walls.items() if not stands]
    told = ", ".join(standing) + (f"; missing: {', '.join(missing)}" if missing else "")
    return Finding("walls", "note" if missing else "ok", told)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        yield name, value.strip()


def _limit(text: str, name: str) -> str:
    """The hard limit of that name in /proc/PID/limits."""
    line = next((line for line in text.splitlines() if line.startswith(name)), "")
    words = line.removeprefix(name).split()
    return words[1] if len(words) > 1 else ""


async def _engine(config: Config, policy: Policy) -> Finding:
    """Load the detectors and checkers, and have them look at something harmless."""
    static = replace(policy, disabled=policy.disabled | {"dynamic"})
    try:
        async with Engine.open(config, static) as engine:
            return await _looked(engine)
    except (ImportError, OSError, ValueError, ConfigError) as error:
        return Finding("detectors", "failed", f"cannot be loaded: {error}")


def _records(config: Config) -> list[Finding]:
    """The user's own records, where there are any."""
    if not stores.has_records(config):
        return []
    try:
        records = stores.records(config).records()
    except StoreError as error:
        return [Finding("records", "failed", f"{error}")]
    altered = of_state(records, "altered")
    told = f"{len(of_state(records, 'enforced'))} in force, from {stores.records_place(config)}"
    if altered:
        told += f"; {len(altered)} changed after their approval and not in force"
    return [Finding("records", "failed" if altered else "ok", told)]


async def _judge(config: Config) -> list[Finding]:
    """Have the judge, where there is one, decide about something harmless."""
    if config.judge is None:
        return []
    from bluecode.proxy.judge_model import open_judge

    try:
        judge = open_judge(config.judge)
    except (ConfigError, ImportError) as error:
        return [Finding("judge", "failed", f"{error}")]
    started = time.perf_counter()
    message = Message(role=Role.USER, text="Please sort a list of names.")
    try:
        opinion = await judge.ask(message, "malice")
    except ModelError as error:
        return [Finding("judge", "failed", f"{config.judge.model}: {error}")]
    finally:
        await judge.close()
    took = 1000 * (time.perf_counter() - started)
    told = f"{config.judge.model} decides ({took:.0f} ms)"
    if opinion.decision == "safe":
        return [Finding("judge", "ok", told)]
    return [Finding("judge", "failed", f"{told}, and calls a harmless text unsafe")]


async def _looked(engine: Engine) -> Finding:
    message = Message(role=Role.USER, text="Please sort a list of names.")
    snippet = Snippet(code="x = sorted(['b', 'a'])\n", language="python", origin="fence")
    verdicts = [await engine.screen(message), await engine.check(snippet)]
    if failed := sorted({name for verdict in verdicts for name in verdict.failed}):
        return Finding("detectors", "failed", f"failed or came late: {', '.join(failed)}")
    if not engine.ready:
        return Finding("detectors", "note", "the policy disables all of them")
    told = f"{len(engine.ready)} loaded and tried: {', '.join(engine.ready)}"
    return Finding("detectors", "ok", told)
