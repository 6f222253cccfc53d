"""Traces: whole, in the conventions' words, without a word of a user, and at no cost when off."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from receiver import Receiver, receiving
from scripted import ScriptedUpstream, answer, chunk
from serving import chat, guarded, post

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Evidence, Finding
from bluecode.proxy.config import Config, ConfigError, Secret
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.tracing import Tracing
from bluecode.proxy.upstream import UpstreamError

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "house=1"}
USED = {"prompt_tokens": 12, "completion_tokens": 5}
CODE = answer({"content": "```python\ndanger()  # my very own code\n```"}, usage=USED)
SERVER, CLIENT = 2, 3


async def traced(
    provider: ScriptedUpstream,
    body: dict[str, Any],
    path: str = "/v1/chat/completions",
    headers: dict[str, str] | None = None,
    **settings: Any,
) -> tuple[Receiver, int]:
    """What was received of one request, and its status."""
    async with receiving() as receiver:
        async with guarded(provider, traces=receiver.root, **settings) as root:
            status, _, _ = await post(root + path, body, headers)
    return receiver, status


async def test_a_request_is_one_trace_of_all_its_parts() -> None:
    receiver, _ = await traced(ScriptedUpstream([CODE]), chat("hello"))
    whole = receiver.named("POST /chat/completions")
    parts = {name: receiver.named(name) for name in ("screen", "check", "chat m")}

    assert {span.trace for span in receiver.spans} == {whole.trace}
    assert {name: span.parent for name, span in parts.items()} == dict.fromkeys(parts, whole.id)
    assert (whole.kind, parts["chat m"].kind) == (SERVER, CLIENT)
    assert whole.told["bluecode.decision"] == "block"
    assert whole.told["http.route"] == "/chat/completions"
    assert parts["screen"].told["bluecode.action"] == "allow"
    assert parts["check"].told["bluecode.action"] == "block"
    assert parts["check"].told["bluecode.rules"] == ["test.danger"]
    assert parts["check"].told["bluecode.languages"] == ["python"]
    assert whole.resource["service.name"] == "bluecode"
    assert not any(span.failed for span in receiver.spans)


async def test_the_providers_span_speaks_in_the_conventions_words() -> None:
    receiver, _ = await traced(ScriptedUpstream([CODE]), chat("hello"))

    told = receiver.named("chat m").told
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "server.address": "127.0.0.1",
        "server.port": 1,
        "http.response.status_code": 200,
    }
    assert expected.items() <= told.items()


@pytest.mark.parametrize(
    ("path", "body", "name", "provider"),
    [
        (
            "/v1/messages",
            {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
            "chat m",
            "anthropic",
        ),
        ("/v1/responses", {"model": "m", "input": "hi"}, "chat m", "openai"),
        ("/v1/completions", {"model": "m", "prompt": "hi"}, "text_completion m", "openai"),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
            "generate_content m",
            "gcp.gemini",
        ),
        (
            "/api/chat",
            {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": False},
            "chat m",
            "ollama",
        ),
        ("/v1/embeddings", {"model": "m", "input": "hi"}, "embeddings", "openai"),
    ],
)
async def test_each_protocol_has_its_name(
    path: str, body: dict[str, Any], name: str, provider: str
) -> None:
    receiver, _ = await traced(ScriptedUpstream([b"{}"]), body, path)

    assert receiver.named(name).told["gen_ai.provider.name"] == provider


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
async def test_a_clients_trace_goes_on_here_and_at_the_provider(path: str) -> None:
    upstream = ScriptedUpstream([CODE])
    receiver, _ = await traced(upstream, chat("hello"), path, TRACED)
    (call,) = upstream.calls
    sent = [(name, value) for name, value in call.headers if name.startswith("trace")]
    (span,) = [span for span in receiver.spans if span.kind == CLIENT]

    first = next((span for span in receiver.spans if span.kind == SERVER), span)
    assert (first.trace, first.parent) == (TRACE, PARENT)
    assert sent == [("traceparent", f"00-{TRACE}-{span.id}-01"), ("tracestate", "house=1")]


async def test_a_trace_that_is_not_sampled_is_passed_on_and_not_sent() -> None:
    upstream = ScriptedUpstream([CODE])
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    receiver, _ = await traced(upstream, chat("hello"), headers=headers)
    (call,) = upstream.calls

    assert receiver.spans == []
    assert dict(call.headers)["traceparent"].startswith(f"00-{TRACE}-")
    assert dict(call.headers)["traceparent"].endswith("-00")


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
async def test_a_spoiled_context_begins_a_trace_of_its_own(parent: str) -> None:
    receiver, status = await traced(
        ScriptedUpstream([CODE]), chat("hello"), headers={"traceparent": parent}
    )

    assert status == 200 and receiver.named("POST /chat/completions").parent == ""


async def test_a_stream_is_one_span_until_its_end() -> None:
    stream = [chunk("hi"), None, chunk(finish="stop"), b"data: [DONE]\n\n"]
    upstream = ScriptedUpstream(stream, kind="text/event-stream", pause=0.2)
    receiver, _ = await traced(upstream, chat("hello", stream=True))

    assert receiver.named("chat m").took > 150_000_000


SECRETS = ("my very own", "words", "alice", "the-key", "danger()", "a b c", "letter")


async def test_no_word_of_a_user_no_code_and_no_key_is_in_a_span() -> None:
    body = chat("my very own words", tools=[{"function": {"name": "letter"}}])
    body["model"] = "a b c"
    receiver, _ = await traced(
        ScriptedUpstream([CODE]),
        body,
        headers={"Authorization": "Bearer the-key", "baggage": "letter=1"},
        proxy_keys={"alice": Secret("the-key")},
    )

    assert len(receiver.spans) == 4
    assert [word for word in SECRETS if word.encode() in receiver.raw] == []
    assert not any(span.events or span.message for span in receiver.spans)


def failed(receiver: Receiver) -> dict[str, Any]:
    return {span.name: span.told.get("error.type") for span in receiver.spans if span.failed}


@pytest.mark.parametrize(
    ("upstream", "kind"),
    [
        (ScriptedUpstream(refuses=UpstreamError(502, "x", kind="connect")), "connect"),
        (ScriptedUpstream([b'{"error": {}}'], status=503), "503"),
        (
            ScriptedUpstream([UpstreamError(504, "x", kind="timeout")]),
            "timeout",
        ),
    ],
)
async def test_a_provider_that_fails_shows(upstream: ScriptedUpstream, kind: str) -> None:
    receiver, _ = await traced(upstream, chat("hello"))

    assert failed(receiver) == {"chat m": kind, "POST /chat/completions": None}


async def test_a_request_that_is_refused_for_its_form_or_its_rate_shows_its_status() -> None:
    policy = Policy.parse("[[limits]]\nname = 'one'\nrequests_per_minute = 1\n")
    async with receiving() as receiver:
        async with guarded(ScriptedUpstream([CODE]), traces=receiver.root, policy=policy) as root:
            url = f"{root}/v1/chat/completions"
            for body in (chat("hi"), chat("hi"), b"nonsense"):
                await post(url, body)
    told = [
        (span.told.get("http.response.status_code"), span.told["bluecode.decision"])
        for span in receiver.spans
        if span.kind == SERVER
    ]

    assert told == [(None, "block"), (429, "limited"), (400, "error")]


class Proof:
    """What a prover tells that ran nothing."""

    evidence = (Evidence(outcome="confirmed", observed="os.system('letter')"),)
    discovered: Sequence[Finding] = ()


class Prover:
    name = "dynamic"
    languages = frozenset({"python"})
    ready = True

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> Proof:
        return Proof()


async def test_a_run_in_the_sandbox_is_a_span_below_its_check() -> None:
    async with receiving() as receiver:
        async with guarded(ScriptedUpstream([CODE]), traces=receiver.root, prover=Prover()) as root:
            await post(f"{root}/v1/chat/completions", chat("hello"))
    run = receiver.named("sandbox")

    assert run.parent == receiver.named("check").id
    assert run.told["bluecode.outcomes"] == ["confirmed"] and run.told["bluecode.claims"] == 1
    assert b"letter" not in receiver.raw


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/moderations", {"input": "hello"}),
        (
            "/beta/litellm_basic_guardrail_api",
            {"input_type": "request", "texts": ["hello"], "structured_messages": []},
        ),
    ],
)
async def test_verdicts_for_others_are_traced_too(path: str, body: dict[str, Any]) -> None:
    receiver, status = await traced(ScriptedUpstream(), body, path)

    assert status == 200
    assert [span for span in receiver.spans if span.kind == SERVER]


async def test_a_receiver_that_refuses_costs_no_request() -> None:
    async with receiving() as receiver:
        receiver.refuses = True
        async with guarded(ScriptedUpstream([CODE]), traces=receiver.root) as root:
            status, _, _ = await post(f"{root}/v1/chat/completions", chat("hello"))

    assert status == 200 and receiver.spans == []


@pytest.mark.parametrize("gone", [False, True])
async def test_spans_that_nobody_took_are_counted(gone: bool) -> None:
    metrics = Metrics()
    async with receiving() as receiver:
        receiver.refuses = True
        root = "http://127.0.0.1:1" if gone else receiver.root
        async with Tracing.open(root, 1_000, metrics) as tracing:
            for _ in range(3):
                with tracing.span("part"):
                    pass

    assert b"bluecode_spans_lost_total 3.0" in metrics.render()


def test_what_traces_need_is_not_loaded_where_nobody_asks() -> None:
    code = "import sys, bluecode.proxy.app; print([m for m in sys.modules if 'opentelemetry' in m])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(told.stdout.replace("'", '"')) == []


@pytest.mark.parametrize("text", ["collector:4318", "grpc://collector:4317", "http://u:p@c:4318"])
def test_a_receiver_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="BLUECODE_TRACES"):
        Config.load(environ={"BLUECODE_TRACES": text})


def test_the_receivers_address_may_be_given_whole() -> None:
    config = Config.load(environ={"BLUECODE_TRACES": "http://collector:4318/v1/traces"})

    assert config.traces == "http://collector:4318"
