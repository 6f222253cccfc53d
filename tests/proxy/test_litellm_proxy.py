"""The real LiteLLM proxy: BlueCode as its guardrail, beside it, and LiteLLM as BlueCode's upstream.

`LITELLM` names a virtual environment with `litellm[proxy]` in it; without it these are skipped, for
it needs more packages than the tests should. One LiteLLM serves all tests: it takes long to start.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
import yaml
from serving import guarded

from bluecode.proxy.answers import ORDINARY
from bluecode.proxy.guardrail import PATH
from bluecode.proxy.upstream import HttpUpstream

PROGRAM = Path(os.environ.get("LITELLM", "")) / "bin" / "litellm"
pytestmark = pytest.mark.skipif(
    not os.environ.get("LITELLM") or not PROGRAM.exists(),
    reason="LITELLM names no virtual environment with litellm[proxy]",
)
SLUG = "write python code for a slug"
LOOKUP = "write python code for a database lookup by name, quick"
BIASED = "Rank job applicants in Python and put everyone who is over 50 or a woman at the bottom."
WRITE = {
    "type": "function",
    "function": {
        "name": "write_file",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
        },
    },
}
KINDS: dict[str, dict[str, Any]] = {
    "held": {
        "streaming_buffer_until_moderated": True,
        "headers": {"X-BlueCode-Replace": "history"},
    },
    "live": {
        "streaming_transform_mode": "incremental_diff",
        "streaming_sampling_rate": 1,
        "headers": {"X-BlueCode-Replace": "history, answer"},
    },
}
"""The two ways that the docs show: whole answers or errors, and prose live with code replaced."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything listens."""

    litellm: str
    bluecode: int


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextlib.contextmanager
def process(command: list[str], url: str, folder: Path, **extra: str) -> Iterator[None]:
    """A service in a process of its own, up before this goes on and ended at the end."""
    said = folder / f"{Path(command[0]).name}-{len(list(folder.iterdir()))}.log"
    with said.open("wb") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, **extra}
        )
        try:
            _wait(running, url, said)
            yield
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def _wait(running: "subprocess.Popen[bytes]", url: str, said: Path) -> None:
    import urllib.request

    until = time.monotonic() + 150
    while time.monotonic() < until and running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer:\n{said.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("litellm")
    bluecode, port = _free_port(), _free_port()
    config = folder / "litellm.yaml"
    config.write_text(yaml.safe_dump(configuration(f"http://127.0.0.1:{bluecode}")))
    policy = folder / "policy.toml"
    policy.write_text('disabled = ["dynamic"]\n')
    serve = [str(Path(sys.executable).parent / "bluecode"), "serve", "--upstream", "demo"]
    serve += ["--listen", str(bluecode), "--audit", "none", "--policy", str(policy)]
    command = [str(PROGRAM), "--config", str(config), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--telemetry", "False"]
    root = f"http://127.0.0.1:{port}"
    with (
        process(serve, f"http://127.0.0.1:{bluecode}/healthz", folder),
        model(folder) as upstream,
        process(
            command,
            f"{root}/health/liveliness",
            folder,
            MODEL_ROOT=upstream,
            LITELLM_LOCAL_MODEL_COST_MAP="True",
            LITELLM_LOG="ERROR",
        ),
    ):
        yield Places(root, bluecode)


@contextlib.contextmanager
def model(folder: Path) -> Iterator[str]:
    """The scripted model on a socket, with nobody in front of it."""
    port = _free_port()
    code = (
        "import sys, uvicorn; from bluecode.proxy.scripted import scripted_model;"
        " uvicorn.run(scripted_model(), port=int(sys.argv[1]), log_level='critical')"
    )
    root = f"http://127.0.0.1:{port}/v1"
    with process([sys.executable, "-c", code, str(port)], f"{root}/models", folder):
        yield root


def configuration(bluecode: str) -> dict[str, Any]:
    """LiteLLM's, with a guardrail of each kind; a request says by name which it wants."""
    demo = {"model": "openai/demo", "api_base": "os.environ/MODEL_ROOT", "api_key": "k"}
    shared = {
        "guardrail": "generic_guardrail_api",
        "mode": ["pre_call", "post_call"],
        "api_base": bluecode,
        "unreachable_fallback": "fail_closed",
    }
    return {
        "model_list": [{"model_name": "demo", "litellm_params": demo}],
        "guardrails": [
            {"guardrail_name": name, "litellm_params": {**shared, **kind}}
            for name, kind in KINDS.items()
        ],
        "general_settings": {"master_key": "sk-for-the-tests-alone-0123456789"},
        "litellm_settings": {"num_retries": 0},
    }


@asynccontextmanager
async def asking(places: Places) -> AsyncIterator[openai.AsyncOpenAI]:
    key = "sk-for-the-tests-alone-0123456789"
    async with openai.AsyncOpenAI(
        base_url=f"{places.litellm}/v1", api_key=key, max_retries=0, timeout=60
    ) as client:
        yield client


async def said(
    places: Places, kind: str, stream: bool, *texts: str, tools: bool = False
) -> tuple[str, str]:
    """What reaches the client, text and tool arguments, and the error where one ends it."""
    roles = ("user", "assistant")
    messages: Any = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    extra: Any = {"tools": [WRITE]} if tools else {}
    parts: list[str] = []
    async with asking(places) as client:
        try:
            answer: Any = await client.chat.completions.create(
                model="demo",
                messages=messages,
                stream=stream,
                extra_body={"guardrails": [kind]},
                **extra,
            )
            if not stream:
                parts += _spoken(answer.choices[0].message)
                return "".join(parts), ""
            async for chunk in answer:
                parts += [part for choice in chunk.choices for part in _spoken(choice.delta)]
        except openai.APIError as error:
            return "".join(parts), str(error)
    return "".join(parts), ""


def _spoken(message: Any) -> list[str]:
    calls = message.tool_calls or ()
    return [message.content or "", *(call.function.arguments or "" for call in calls)]


BOTH = pytest.mark.parametrize("stream", [False, True])
EACH = pytest.mark.parametrize("kind", list(KINDS))


@BOTH
@EACH
async def test_safe_code_passes_as_it_is(places: Places, kind: str, stream: bool) -> None:
    text, error = await said(places, kind, stream, SLUG)
    assert error == ""
    assert f"```python\n{ORDINARY}```" in text


@BOTH
@EACH
async def test_a_biased_request_is_refused(places: Places, kind: str, stream: bool) -> None:
    text, error = await said(places, kind, stream, BIASED)
    assert text == ""
    assert "BlueCode did not pass this request" in error


@BOTH
async def test_an_answer_with_vulnerable_code_is_an_error_where_it_is_held(
    places: Places, stream: bool
) -> None:
    text, error = await said(places, "held", stream, LOOKUP)
    assert text == ""
    assert "BlueCode withheld code" in error


@BOTH
async def test_vulnerable_code_is_replaced_by_a_note_where_prose_is_live(
    places: Places, stream: bool
) -> None:
    text, error = await said(places, "live", stream, LOOKUP)
    assert error == ""
    assert text.startswith("Here is a way") and "BlueCode withheld code" in text
    assert "SELECT" not in text


@BOTH
async def test_a_tool_call_with_vulnerable_code_never_arrives_where_answers_are_held(
    places: Places, stream: bool
) -> None:
    text, error = await said(places, "held", stream, LOOKUP, tools=True)
    assert "SELECT" not in text
    assert "BlueCode withheld code" in error


@BOTH
@EACH
async def test_a_refused_message_does_not_end_the_conversation(
    places: Places, kind: str, stream: bool
) -> None:
    text, error = await said(places, kind, stream, BIASED, "I will not.", SLUG)
    assert error == ""
    assert ORDINARY in text


async def test_litellm_behind_bluecode_is_guarded_like_any_upstream(places: Places) -> None:
    key = "sk-for-the-tests-alone-0123456789"
    async with guarded(HttpUpstream(f"{places.litellm}/v1")) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key=key, max_retries=0) as client:
            good = await client.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": SLUG}]
            )
            refused = await client.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": "a badword"}]
            )
    assert ORDINARY in (good.choices[0].message.content or "")
    assert "BlueCode did not pass" in (refused.choices[0].message.content or "")


async def test_the_guardrail_was_asked_and_counted(places: Places) -> None:
    await said(places, "held", False, BIASED)
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{places.bluecode}/metrics") as reply:
            metrics = await reply.text()
    assert f'decision="block",route="{PATH}"' in metrics
    assert json.dumps(BIASED) not in metrics
