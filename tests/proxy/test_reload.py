"""A policy that changes while BlueCode serves: adopted when sound, refused loudly when not."""

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from replicas import NOBODY_LOOKS, fetched, replica
from scripted import ScriptedUpstream, WordChecker, WordDetector
from serving import chat, post, serving
from starlette.testclient import TestClient

from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Finding, Verdict
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.reload import PolicyReload

STRICT = "shadow = false\n"
SHADOW = "shadow = true\n"
BROKEN = "shadow = maybe\n"
UNKNOWN = "shaddow = true\n"
DISABLES = 'disabled = ["bias"]\n'
MESSAGE = Message(role=Role.USER, text="a badword")
SNIPPET = Snippet(code="danger()\n", language="python", origin="fence")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "policy.toml", STRICT)
    return tmp_path / "policy.toml"


async def test_a_file_written_anew_is_adopted_and_served_by(path: Path) -> None:
    engine = Engine(Policy.load(path), [WordDetector("badword")], [], None)
    config = Config(upstream="http://127.0.0.1:1/v1", audit="none", policy=path)
    upstream = ScriptedUpstream([b'{"choices": []}'])
    app = create_app(config, policy=engine.policy, upstream=upstream, engine=engine)
    async with serving(app) as root:
        before = await post(f"{root}/v1/chat/completions", chat("a badword"))
        write(path, SHADOW)
        with anyio.fail_after(10):
            while not engine.policy.shadow:
                await anyio.sleep(0.05)
        after = await post(f"{root}/v1/chat/completions", chat("a badword"))
        _, metrics = await fetched(f"{root}/metrics")

    assert before[1]["x-bluecode-verdict"] == "block"
    assert b"withheld" not in after[2] and len(upstream.calls) == 1
    assert 'bluecode_policy_reloads_total{result="adopted"} 1.0' in metrics
    assert metrics.count("bluecode_policy_info{") == 1
    assert engine.policy_version in metrics


SCOPED = """
[[policies]]
name = "chat"
match = { routes = ["/chat/*"] }
shadow = true
[[limits]]
name = "few"
requests_per_day = 2
"""


async def test_entries_and_limits_are_adopted_and_given_up_while_serving(path: Path) -> None:
    engine = Engine(Policy.load(path), [WordDetector("badword")], [], None)
    config = Config(upstream="http://127.0.0.1:1/v1", audit="none", policy=path)
    upstream = ScriptedUpstream([b'{"choices": []}'])
    app = create_app(config, policy=engine.policy, upstream=upstream, engine=engine)
    async with serving(app) as root:
        told = []
        for text in (STRICT, SCOPED, STRICT):
            write(path, text)
            with anyio.fail_after(10):
                while engine.policy.version != Policy.parse(text).version:
                    await anyio.sleep(0.05)
            url = f"{root}/v1/chat/completions"
            told.append([await post(url, chat("a badword")) for _ in range(3)])
    blocked = [[b"did not pass" in body for _, _, body in answers] for answers in told]
    limited = [[status == 429 for status, _, _ in answers] for answers in told]

    assert blocked == [[True] * 3, [False] * 3, [True] * 3]
    assert limited == [[False] * 3, [False, False, True], [False] * 3]


@pytest.mark.parametrize("text", [BROKEN, UNKNOWN])
def test_a_policy_that_cannot_be_used_is_refused_loudly(
    path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    adopted: list[Policy] = []
    metrics = Metrics()
    reload = PolicyReload(path, adopted.append, metrics)
    write(path, text)

    with caplog.at_level(logging.ERROR):
        reload.reload()

    assert adopted == []
    assert "the old one stays" in caplog.text
    assert b'bluecode_policy_reloads_total{result="refused"} 1.0' in metrics.render()


def test_what_is_loaded_is_not_changed_while_serving(path: Path) -> None:
    engine = Engine(Policy.load(path), [], [], None)
    metrics = Metrics()
    reload = PolicyReload(path, engine.adopt, metrics)
    write(path, DISABLES)

    reload.reload()

    assert not engine.policy.disabled
    assert b'{result="refused"} 1.0' in metrics.render()


async def test_a_verdict_of_the_old_policy_is_not_remembered_for_the_new(path: Path) -> None:
    engine = Engine(Policy.parse(STRICT), [WordDetector("badword")], [], None)
    message = Message(role=Role.USER, text="a badword")
    await engine.decide_message(message)
    remembered = await engine.decide_message(message)

    engine.adopt(Policy.parse(SHADOW))
    decided = await engine.decide_message(message)

    assert (remembered.cached, remembered.verdict.blocks) == (True, True)
    assert (decided.cached, decided.verdict.blocks) == (False, False)


class Meanwhile:
    """Somebody who looks, or is asked for what was seen, while another policy is adopted."""

    name = "word"
    languages = frozenset({"python"})

    def __init__(self, looks: WordDetector | WordChecker) -> None:
        self._looks: Any = looks
        self.adopt: Callable[[], None] = _nothing

    async def inspect(self, subject: Any) -> Sequence[Finding]:
        self._once()
        found: Sequence[Finding] = await self._looks.inspect(subject)
        return found

    async def get(self, key: str) -> Verdict | None:
        self._once()
        return None

    def put(self, key: str, verdict: Verdict) -> None:
        """Nothing is kept."""

    def _once(self) -> None:
        adopt, self.adopt = self.adopt, _nothing
        adopt()


def _nothing() -> None:
    """Adopts no other."""


@pytest.mark.parametrize("subject", [MESSAGE, SNIPPET], ids=["message", "snippet"])
@pytest.mark.parametrize(("before", "after"), [(STRICT, SHADOW), (SHADOW, STRICT)])
@pytest.mark.parametrize("looking_up", [False, True])
async def test_a_verdict_that_was_being_made_when_the_policy_changed_is_the_old_ones_alone(
    subject: Message | Snippet, before: str, after: str, looking_up: bool
) -> None:
    word = Meanwhile(WordDetector("badword") if subject is MESSAGE else WordChecker())
    store: Any = Meanwhile(WordChecker())
    engine = Engine(Policy.parse(before), [word], [word], None)
    engine.shared = store
    (store if looking_up else word).adopt = lambda: engine.adopt(Policy.parse(after))

    async def shadows() -> bool:
        if isinstance(subject, Message):
            verdict = await engine.screen(subject)
        else:
            verdict = await engine.check(subject)
        assert verdict.action is Action.BLOCK
        return verdict.shadow

    seen = [await shadows(), await shadows()]
    engine.adopt(Policy.parse(before))
    seen.append(await shadows())

    old, new = before is SHADOW, after is SHADOW
    assert seen == [old, new, old]


@pytest.mark.parametrize("text", [SCOPED, "enforce = 10\n", '[teams]\nops = ["a"]\n'])
async def test_what_changes_no_verdict_loses_none(text: str) -> None:
    engine = Engine(Policy.parse(""), [WordDetector("badword")], [], None)
    message = Message(role=Role.USER, text="a badword")
    first = await engine.decide_message(message)

    engine.adopt(Policy.parse(text))
    decided = await engine.decide_message(message)

    assert decided.cached and decided.verdict == first.verdict
    assert engine.policy_version != Policy.parse("").version


async def test_a_missing_file_is_told_once_and_its_return_is_adopted(path: Path) -> None:
    adopted: list[Policy] = []
    metrics = Metrics()
    reload = PolicyReload(path, adopted.append, metrics, pause=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reload.run)
        await anyio.sleep(0.05)
        remove(path)
        await anyio.sleep(0.1)
        refused = b'{result="refused"} 1.0' in metrics.render()
        write(path, SHADOW)
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()

    assert refused
    assert [policy.shadow for policy in adopted] == [True]


def test_outside_the_main_thread_the_file_alone_is_watched(path: Path) -> None:
    config = Config(upstream="http://127.0.0.1:1/v1", audit="none", policy=path)
    engine = Engine(Policy.load(path), [], [], None)
    app = create_app(config, policy=engine.policy, upstream=ScriptedUpstream(), engine=engine)

    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200


async def test_sighup_reads_the_policy_again_and_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write(path, NOBODY_LOOKS)
    with replica(tmp_path, "demo", policy=str(path)) as one:
        await one.ready()
        one.signal(signal.SIGHUP)
        with anyio.fail_after(10):
            while (
                'reloads_total{result="adopted"}' not in (await fetched(f"{one.root}/metrics"))[1]
            ):
                await anyio.sleep(0.05)
        one.signal(signal.SIGTERM)
        status = await one.ended()

    assert status == 0
    assert "is in force" in one.log.read_text("utf-8")
