"""The judge's model: any OpenAI-compatible endpoint by the `openai` SDK, any other by litellm.

Both are imported only where a judge is configured. No error quotes what was asked or answered.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from bluecode.defenses import knowledge
from bluecode.defenses.judge import Judge
from bluecode.defenses.knowledge import Nearest, Task
from bluecode.defenses.model import Model, ModelError
from bluecode.defenses.records import RecordSource
from bluecode.defenses.terms import Terms
from bluecode.proxy.config import ConfigError, JudgeConfig

_TOKENS: Final = 1_500
_SCHEMA_NAME: Final = "judgement"


def open_judge(config: JudgeConfig, records: RecordSource | None = None) -> Judge:
    """The judge that the settings ask for; the cases it is shown are the shipped ones and the
    user's. Raises `ConfigError` where its key is missing."""

    def near(read: Terms, task: Task, k: int) -> Nearest:
        own = None if records is None else records.current()
        base = knowledge.shipped()
        return base.nearest(read, task, k) if own is None else own.nearest(read, task, k)

    return Judge(
        open_model(config),
        mode=config.mode,
        timeout=config.timeout,
        per_minute=config.per_minute,
        uncertain=config.uncertain,
        near=near,
    )


def open_model(config: JudgeConfig) -> Model:
    """The model alone. Raises `ConfigError` where its key is missing."""
    key = _key(config)
    if config.base_url:
        return OpenAIModel(config.model, config.base_url, key, config.timeout)
    return LiteLLMModel(config.model, key, config.timeout)


def _key(config: JudgeConfig) -> str | None:
    if config.api_key is not None:
        return config.api_key.get()
    if not config.api_key_env:
        return None
    if not (key := os.environ.get(config.api_key_env, "").strip()):
        raise ConfigError(f"`judge.api_key_env` names `{config.api_key_env}`, which is not set.")
    return key


def _messages(instructions: str, question: str) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": instructions},
        {"role": "user", "content": question},
    ]


def _formats(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Ways of asking, the strictest first: not every server knows schemas, or a temperature."""
    named = {"name": _SCHEMA_NAME, "strict": True, "schema": dict(schema)}
    form = {"response_format": {"type": "json_schema", "json_schema": named}}
    cold = {"temperature": 0, "max_tokens": _TOKENS}
    return [{**cold, **form}, {**form, "max_completion_tokens": _TOKENS}, cold]


class OpenAIModel:
    """A chat model behind an OpenAI-compatible API root."""

    def __init__(self, model: str, base_url: str, key: str | None, timeout: float) -> None:
        import openai

        self.name = f"{model} at {base_url}"
        self._model = model
        self._openai = openai
        self._client = openai.AsyncOpenAI(
            base_url=base_url, api_key=key or "none", timeout=timeout, max_retries=0
        )
        self._way = 0
        """Index of the way of asking that this server takes."""

    async def answer(self, instructions: str, question: str, schema: Mapping[str, Any]) -> str:
        """The raw answer. Raises `ModelError`. A server that refuses one way of asking is asked in
        the next from then on."""
        messages = _messages(instructions, question)
        ways = _formats(schema)
        for at in range(self._way, len(ways)):
            try:
                return await self._asked(messages, ways[at])
            except self._openai.BadRequestError:
                self._way = max(self._way, min(at + 1, len(ways) - 1))
        raise ModelError("refused", "The judge's provider refused (400).")

    async def _asked(self, messages: list[dict[str, str]], how: Mapping[str, Any]) -> str:
        create: Any = self._client.chat.completions.with_raw_response.create
        try:
            given = await create(model=self._model, messages=messages, **how)
        except self._openai.BadRequestError:
            raise
        except self._openai.APITimeoutError as error:
            raise ModelError("timeout", "The judge did not answer in time.") from error
        except self._openai.APIConnectionError as error:
            raise ModelError("unreachable", "The judge's provider cannot be reached.") from error
        except self._openai.APIStatusError as error:
            told = f"The judge's provider refused ({error.status_code})."
            raise ModelError("refused", told) from error
        # The SDK would fill in what an answer lacks: it is read as it came.
        return _content_of(given.content)

    async def close(self) -> None:
        await self._client.close()


class LiteLLMModel:
    """A model by its litellm name, for example `anthropic/claude-haiku-4-5`."""

    def __init__(self, model: str, key: str | None, timeout: float) -> None:
        from bluecode.proxy.upstream import LiteLLMUpstream

        self.name = model
        self._upstream = LiteLLMUpstream(model, key=key, read=timeout)
        self._way = 0

    async def answer(self, instructions: str, question: str, schema: Mapping[str, Any]) -> str:
        """The raw answer. Raises `ModelError`."""
        from bluecode.proxy.upstream import Call, UpstreamError

        messages = _messages(instructions, question)
        ways = _formats(schema)
        for at in range(self._way, len(ways)):
            body = json.dumps({"messages": messages, **ways[at]}).encode()
            call = Call(method="POST", path="/chat/completions", query="", headers=(), body=body)
            try:
                async with self._upstream.send(call) as reply:
                    return _content_of(await reply.chunk())
            except UpstreamError as error:
                if error.kind == "timeout":
                    raise ModelError("timeout", f"{error}") from error
                if error.status != 400:
                    raise ModelError("refused", f"{error}") from error
                self._way = max(self._way, min(at + 1, len(ways) - 1))
        raise ModelError("refused", "The judge's provider refused (400).")

    async def close(self) -> None:
        await self._upstream.close()


def _content_of(raw: bytes) -> str:
    """The text of a completion in JSON."""
    try:
        content = json.loads(raw)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError("unparsable", "The judge's provider answered no completion.") from error
    if not isinstance(content, str):
        raise ModelError("unparsable", "The judge gave no text.")
    return content
