"""Clients of OpenAI's moderations ask BlueCode, by the real SDK."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from scripted import ScriptedUpstream
from serving import get, guarded, post

from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Secret

CODE = "Look:\n```python\ndanger()\n```\n"


@asynccontextmanager
async def asking(**settings: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with guarded(ScriptedUpstream(), **settings) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as client:
            yield client


async def test_a_text_is_flagged_by_its_category() -> None:
    async with asking() as client:
        told = await client.moderations.create(input="a badword", model="omni-moderation-latest")
    (result,) = told.results
    assert result.flagged
    assert result.categories.illicit and not result.categories.violence
    assert result.categories.to_dict()["malice"] is True
    assert result.category_scores.to_dict()["malice"] == 0.95
    assert told.id.startswith("modr-") and told.model == "omni-moderation-latest"


async def test_each_text_of_a_list_has_its_result() -> None:
    async with asking() as client:
        told = await client.moderations.create(input=["hello", "a badword", CODE])
    assert [result.flagged for result in told.results] == [False, True, True]
    assert told.results[2].categories.to_dict()["vulnerable_code"] is True


async def test_parts_are_one_input_and_an_image_counts_as_unread() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    text = {"type": "text", "text": "a badword"}
    async with asking() as client:
        told = await client.moderations.create(input=[text, image])  # type: ignore[list-item]
    (result,) = told.results
    assert result.flagged
    assert result.to_dict()["bluecode"]["unchecked"] == ["image"]  # type: ignore[index]


async def test_what_is_not_looked_for_is_said_to_be_applied_to_nothing() -> None:
    async with asking() as client:
        told = await client.moderations.create(input="hello")
    applied = told.results[0].category_applied_input_types
    assert applied.sexual == [] and applied.to_dict()["bias"] == ["text"]


async def test_a_shadow_flags_nothing_and_tells_all() -> None:
    async with asking(policy=Policy(shadow=True)) as client:
        told = await client.moderations.create(input="a badword")
    assert not told.results[0].flagged
    assert told.results[0].to_dict()["bluecode"]["action"] == "block"  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "`input`"),
        ({"input": []}, "`input`"),
        ({"input": ["a", {"type": "text", "text": "b"}]}, "strings alone"),
        ({"input": ["a"] * 300}, "256"),
        (b"{", "JSON"),
    ],
)
async def test_a_body_that_cannot_be_read_gets_an_error_that_says_why(body: Any, says: str) -> None:
    async with guarded(ScriptedUpstream()) as root:
        status, _, told = await post(f"{root}/v1/moderations", body)
    assert status == 400
    assert says in json.loads(told)["error"]["message"]


async def test_a_proxy_key_is_asked_for_and_requests_are_counted() -> None:
    async with guarded(ScriptedUpstream(), proxy_keys={"ann": Secret("k")}) as root:
        status, _, _ = await post(f"{root}/v1/moderations", {"input": "hello"})
        good, _, _ = await post(
            f"{root}/v1/moderations", {"input": "a badword"}, {"Authorization": "Bearer k"}
        )
        _, _, metrics = await get(f"{root}/metrics")
    assert (status, good) == (401, 200)
    assert b'decision="block",route="/moderations"' in metrics
