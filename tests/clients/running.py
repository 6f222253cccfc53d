"""Installs a client and runs it in a scene: BlueCode in front of the scripted model, all real."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from serving import serving
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bluecode.defenses.policy import Policy
from bluecode.proxy import settings_file
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.scripted import scripted_model
from bluecode.proxy.upstream import Call, HttpUpstream, Reply
from clients.catalogue import HERE, KEY, Client
from clients.scenes import MOST_REQUESTS, SCENES, SECONDS, Seen

_COLOURS = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07)")
_MEMBER = b'"bluecode":'
_CALLS = re.compile(
    rb'"(?:tool_calls|tool_use|functionCall|function_call|custom_tool_call)"|SEARCH|mkdir|write_'
)


def install(client: Client, where: Path) -> None:
    """Into a folder of its own. Raises `CalledProcessError`."""
    if client.npm:
        where.mkdir(parents=True, exist_ok=True)
        quiet = ["--no-fund", "--no-audit", "--loglevel", "error"]
        subprocess.run(["npm", "install", "--prefix", str(where), *quiet, *client.npm], check=True)
        return
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
    pip = [str(where / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", *client.pypi], check=True)


@dataclass(slots=True)
class Recorder:
    """What went by: requests, what the model answered, and what of it went on."""

    requests: int = 0
    answered: list[bytearray] = field(default_factory=list)
    sent: list[bytearray] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Did every answer reach the client as it was, but for a verdict that was added to it?"""
        return sorted(map(_less, self.answered)) == sorted(map(_less, self.sent))

    @property
    def warned(self) -> bool:
        return any(_MEMBER in body for body in self.sent)

    def around(self, app: ASGIApp) -> ASGIApp:
        async def recording(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                await app(scope, receive, send)
                return
            self.requests += 1
            self.sent.append(body := bytearray())

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.body":
                    body.extend(message.get("body", b""))
                await send(message)

            await app(scope, receive, sending)

        return recording


def _less(body: bytearray) -> bytes:
    """An answer without BlueCode's own member; JSON that comes whole is written in one way."""
    if body[:1] == b"{" and not body.count(b"\n"):
        told = {key: value for key, value in json.loads(body).items() if key != "bluecode"}
        return json.dumps(told).encode()
    before, member, after = bytes(body).partition(b"," + _MEMBER)
    if not member:
        return before
    text = after.decode()
    return before + text[json.JSONDecoder().raw_decode(text)[1] :].encode()


class RecordedUpstream:
    """See `Upstream`."""

    def __init__(self, upstream: HttpUpstream, recorder: Recorder) -> None:
        self._upstream = upstream
        self._recorder = recorder

    @property
    def state(self) -> str:
        return self._upstream.state

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        async with self._upstream.send(call) as reply:
            recorded = _RecordedReply(reply)
            if call.method == "POST":
                self._recorder.answered.append(recorded.body)
            yield recorded

    async def close(self) -> None:
        await self._upstream.close()


class _RecordedReply:
    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = reply.headers
        self.body = bytearray()

    async def chunk(self) -> bytes:
        data = await self._reply.chunk()
        self.body += data
        return data


_CONFIG = Config(upstream="http://127.0.0.1:1/v1", audit="none")


def opened() -> AbstractAsyncContextManager[Engine]:
    """All detectors and checkers, and the sandbox."""
    return Engine.open(_CONFIG, Policy.default())


@asynccontextmanager
async def guard(recorder: Recorder, engine: Engine) -> AsyncIterator[str]:
    """BlueCode in front of the scripted model."""
    async with serving(scripted_model()) as model:
        upstream = RecordedUpstream(HttpUpstream(f"{model}/v1"), recorder)
        app = create_app(_CONFIG, policy=Policy.default(), upstream=upstream, engine=engine)
        async with serving(recorder.around(app)) as root:
            yield root


async def run(client: Client, where: Path, name: str, engine: Engine) -> dict[str, Any]:
    """One scene of one client: did it go right, with how many requests, and did it end?"""
    scene = SCENES[name]
    recorder = Recorder()
    async with guard(recorder, engine) as root:
        with TemporaryDirectory(dir=where, prefix="home-") as folder:
            home = Path(folder)
            (home / "app").mkdir()
            shown, ended = await _shown(client, where, home, root, scene.asked)
            seen = Seen(
                shown=shown,
                home=home,
                requests=recorder.requests,
                same=recorder.same,
                called=any(_CALLS.search(answer) for answer in recorder.answered),
            )
            wrote = seen.file
            right = ended and seen.requests > 0 and scene.right(seen)
    few = not scene.blocked or recorder.requests <= MOST_REQUESTS
    if not right and "SHOW" in os.environ:
        print(f"--- {client.name}, {name}: {seen}"[-2000:], wrote, file=sys.stderr)
    told = {"right": right and few, "requests": recorder.requests, "ended": ended}
    return {**told, "warned": True} if recorder.warned and not scene.blocked else told


async def _shown(
    client: Client, where: Path, home: Path, root: str, asked: str
) -> tuple[str, bool]:
    """All that it prints, in one line; and did it end in time?"""
    lines = _point(client, home, root)
    given = {
        "HOME": str(home),
        "PATH": f"{client.program(where).absolute()}:{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        "TERM": "xterm-256color",
        "COLUMNS": "250",
        "ASKED": asked,
        "OPENAI_API_KEY": KEY,
        "ANTHROPIC_API_KEY": KEY,
        **client.environment,
    }
    process = await anyio.open_process(
        ["bash", "-c", lines], cwd=home, env=given, stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    told = bytearray()
    with anyio.move_on_after(SECONDS) as limit:
        async for data in process.stdout:
            told += data
        await process.wait()
    if limit.cancelled_caught:
        with anyio.CancelScope(shield=True):
            os.killpg(process.pid, 9)
            await process.aclose()
    plain = _COLOURS.sub("", told.decode(errors="replace"))
    return " ".join(plain.split()), not limit.cancelled_caught


def _point(client: Client, home: Path, root: str) -> str:
    """Point it at BlueCode as `bluecode setup` says; the shell lines that ask the question."""
    for name, text in client.files.items():
        _written(home / name, text.replace("<root>", root))
    assistant, settings = client.assistant, client.settings(root)
    if assistant.by == "file":
        assert assistant.format is not None
        path = home / assistant.file.removeprefix("~/")
        settings_file.write(path, settings, assistant.format)
        return client.command
    if assistant.by == "code":
        _written(home / _POINTED[bool(client.npm)], settings + _EXPORTED[bool(client.npm)])
        return _copied(client, home)
    if client.script:
        return f"{settings}\n{_copied(client, home)}"
    return f"{settings} {client.arguments}" if client.arguments else f"{settings}\n{client.command}"


_POINTED: Mapping[bool, str] = {True: "pointed.mjs", False: "pointed.py"}
_EXPORTED: Mapping[bool, str] = {True: "\nexport { model };\n", False: ""}


def _copied(client: Client, home: Path) -> str:
    """The program that speaks through an SDK, beside its settings."""
    for name in (client.script, "files.py", "files.mjs"):
        _written(home / name, (HERE / "scripts" / name).read_text("utf-8"))
    return f'{"node" if client.npm else "python"} {client.script} "$ASKED"'


def _written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
