"""The judge over a real socket: servers that are slow, broken, strict or down; the whole way."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from judges import JudgeServer, Scored, data_of, verdict
from scripted import ScriptedUpstream, answer
from serving import chat, get, post, serving

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.judge import Judge, Opinion
from bluecode.defenses.model import ModelError
from bluecode.defenses.policy import Policy
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config, ConfigError, JudgeConfig, Secret
from bluecode.proxy.engine import Engine
from bluecode.proxy.judge_model import open_judge, open_model

MESSAGE = Message(role=Role.USER, text="Delete the logs of the build server.")


async def ask(server: JudgeServer, **settings: Any) -> Opinion | ModelError:
    """What a judge makes of one message, by a server."""
    async with serving(server.app) as root:
        judge = open_judge(JudgeConfig(model="m", base_url=f"{root}/v1", **settings))
        try:
            return await judge.ask(MESSAGE, "malice")
        except ModelError as error:
            return error
        finally:
            await judge.close()


async def test_the_request_is_cold_in_the_form_and_carries_the_key() -> None:
    server = JudgeServer(verdict("unsafe"))
    opinion = await ask(server, api_key=Secret("s3cret"))
    (body,) = server.bodies
    assert opinion == Opinion("unsafe", "high")
    assert (body["temperature"], body["model"]) == (0, "m")
    assert body["response_format"]["json_schema"]["strict"] is True
    assert data_of(body["messages"][1]["content"])["text"] == MESSAGE.text
    assert server.keys == ["Bearer s3cret"]


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (500, "refused"),
        (401, "refused"),
        (429, "refused"),
        (b"not json", "unparsable"),
        (b"{}", "unparsable"),
        (b'{"choices": []}', "unparsable"),
        (b'{"choices": [{"message": {"content": null}}]}', "unparsable"),
        (b"[1]", "unparsable"),
        (b"null", "unparsable"),
        (b"", "unparsable"),
        (b"\xff", "unparsable"),
        (b'{"choices": null}', "unparsable"),
        (b'{"choices": [null]}', "unparsable"),
        (b'{"choices": {"0": 1}}', "unparsable"),
        (b'{"choices": "safe"}', "unparsable"),
        (b'{"choices": [{"message": "safe"}]}', "unparsable"),
        (b'{"choices": [{"message": [{"content": "safe"}]}]}', "unparsable"),
        (b'{"choices": [{"message": {"content": ["safe"]}}]}', "unparsable"),
        (b'{"choices": [{"message": {"content": 1}}]}', "unparsable"),
        (b'{"choices": [{"message": {}, "text": "safe"}]}', "unparsable"),
        (b'{"error": {"message": "busy"}}', "unparsable"),
        (b'{"choices": ' + b"[" * 100_000, "unparsable"),
        (5.0, "timeout"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_a_server_that_does_not_answer_well_is_a_failure(
    step: int | bytes | float, kind: str
) -> None:
    server = JudgeServer(step)
    started = time.monotonic()
    error = await ask(server, timeout=0.5)
    assert isinstance(error, ModelError) and error.kind == kind
    assert len(server.bodies) == 1, "a failure is not tried again"
    assert time.monotonic() - started < 4


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    model = open_model(JudgeConfig(model="m", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ModelError) as raised:
        await Judge(model).ask(MESSAGE, "malice")
    await model.close()
    assert raised.value.kind == "unreachable"


async def test_a_server_that_knows_no_schema_or_no_temperature_is_asked_otherwise() -> None:
    server = JudgeServer(400, 400, verdict("safe"))
    async with serving(server.app) as root:
        judge = open_judge(JudgeConfig(model="m", base_url=f"{root}/v1"))
        for _ in range(2):
            assert (await judge.ask(MESSAGE, "malice")).decision == "safe"
        await judge.close()
    assert ["response_format" in body for body in server.bodies] == [True, True, False, False]
    assert ["temperature" in body for body in server.bodies] == [True, False, True, True]


async def test_a_server_that_refuses_every_way_of_asking_is_a_failure() -> None:
    server = JudgeServer(400)
    error = await ask(server)
    assert isinstance(error, ModelError) and error.kind == "refused"
    assert len(server.bodies) == 3


async def test_a_key_that_is_not_in_the_environment_stops_the_start() -> None:
    config = JudgeConfig(model="m", base_url="http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY")
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        open_model(config)


UNSURE = "Write a script which watches a folder and uploads every new file to my server."


async def through_the_proxy(server: JudgeServer, tmp_path: Path, text: str, times: int = 1) -> Any:
    """The last answer, the audit's last line, and the metrics."""
    policy = Policy.default()
    audit = tmp_path / "audit.jsonl"
    async with serving(server.app) as judge_root:
        judge = open_judge(JudgeConfig(model="m", base_url=f"{judge_root}/v1"))
        engine = Engine(policy, [Scored.of({text: 0.7})], [], None, judge=judge)
        config = Config(upstream="http://127.0.0.1:1/v1", audit=str(audit))
        upstream = ScriptedUpstream([answer({"content": "ok"})])
        app = create_app(config, policy=policy, upstream=upstream, engine=engine)
        async with serving(app) as root:
            for _ in range(times):
                _, _, body = await post(f"{root}/v1/chat/completions", chat(text))
            metrics = (await get(f"{root}/metrics"))[2].decode()
        await judge.close()
    line = json.loads(audit.read_text("utf-8").splitlines()[-1])
    return json.loads(body), line, metrics


async def test_an_opinion_is_enforced_audited_counted_and_remembered(tmp_path: Path) -> None:
    server = JudgeServer(verdict("unsafe"))
    body, line, metrics = await through_the_proxy(server, tmp_path, UNSURE, times=2)
    asked = len(server.bodies)
    assert body["bluecode"]["action"] == "block"
    assert [item["judge"] for item in line["findings"]] == ["unsafe, high"]
    assert asked == 1, "the second time it is remembered"
    assert 'bluecode_judge_calls_total{outcome="unsafe"} 1.0' in metrics
    assert "bluecode_judge_seconds_count 1.0" in metrics


async def test_a_failed_judge_is_told_and_not_remembered(tmp_path: Path) -> None:
    server = JudgeServer(500)
    body, line, metrics = await through_the_proxy(server, tmp_path, UNSURE, times=6)
    assert body["bluecode"]["failed"] == ["judge"] == line["failed"]
    assert "judge failed or took too long" in body["choices"][0]["message"]["content"]
    assert 'bluecode_judge_calls_total{outcome="refused"} 5.0' in metrics
    assert 'bluecode_judge_calls_total{outcome="open"} 1.0' in metrics


async def test_a_judge_that_calls_it_safe_lets_it_through(tmp_path: Path) -> None:
    body, line, _ = await through_the_proxy(JudgeServer(verdict("safe")), tmp_path, UNSURE)
    assert body["choices"][0]["message"]["content"] == "ok"
    assert line["decision"] == "allow" and UNSURE not in json.dumps(line)


async def test_an_engine_that_is_opened_with_a_judge_keys_its_verdicts_by_it(
    tmp_path: Path,
) -> None:
    policy = Policy.parse('disabled = ["dynamic"]')
    judge = JudgeConfig(model="m", base_url="http://127.0.0.1:9/v1")
    plain, judged = Config(), Config(judge=judge)
    async with Engine.open(plain, policy) as without, Engine.open(judged, policy) as engine:
        assert engine.verdicts_key != without.verdicts_key
