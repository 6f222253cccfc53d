"""`/metrics` may ask for a key; nothing else asks for that one."""

import aiohttp
import pytest
from scripted import ScriptedUpstream, answer
from serving import chat, get, guarded, post

from bluecode.proxy.config import Config, Secret

KEY = "a long random text"


async def fetched(url: str, header: str | None) -> tuple[int, str]:
    headers = {} if header is None else {"Authorization": header}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as reply:
        return reply.status, await reply.text()


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer wrong", 401),
        (f"Basic {KEY}", 401),
        (f"Bearer {KEY} ", 200),
        (f"bearer {KEY}", 200),
    ],
)
async def test_figures_are_for_those_who_have_the_key(header: str | None, status: int) -> None:
    async with guarded(ScriptedUpstream(), metrics_key=Secret(KEY)) as root:
        told = await fetched(f"{root}/metrics", header)

    assert told[0] == status
    assert ("bluecode_requests_total" in told[1]) == (status == 200)


async def test_the_rest_does_not_ask_for_it_and_it_opens_nothing_else() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    settings = {"metrics_key": Secret(KEY), "proxy_keys": {"alice": Secret("alice-key")}}
    async with guarded(upstream, **settings) as root:
        ready = (await get(f"{root}/readyz"))[0]
        url = f"{root}/v1/chat/completions"
        asked = [
            (await post(url, chat(), {"Authorization": f"Bearer {key}"}))[0]
            for key in ("alice-key", KEY)
        ]
        other = (await fetched(f"{root}/metrics", "Bearer alice-key"))[0]

    assert (ready, asked, other) == (200, [200, 401], 401)


async def test_without_a_key_anybody_may_read() -> None:
    async with guarded(ScriptedUpstream()) as root:
        assert (await fetched(f"{root}/metrics", None))[0] == 200


def test_the_key_does_not_show() -> None:
    assert KEY not in repr(Config.load(environ={"BLUECODE_METRICS_KEY": KEY}))
