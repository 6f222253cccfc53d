"""Loads one arm and prints the figures as JSON; run by `proxy_bench.py` in a process of its own."""

import asyncio
import itertools
import json
import secrets
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

WARM_UP = 20
SYSTEM = ("You are a careful assistant for a team that writes web services in Python. " * 30)[:2048]
WORDS = (
    "please look at the module that reads orders from the queue and writes totals to the report"
    " then add a small function with a docstring and a test that covers the empty case as well"
).split()


@dataclass(slots=True)
class Tally:
    """Times in seconds."""

    whole: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    errors: int = 0


def body(asked: dict[str, Any], number: int) -> bytes:
    """A request; with `fresh` prompts its text is no other's, and no verdict comes from a cache."""
    number = number if asked["prompts"] == "fresh" else 0
    token = secrets.token_hex(4) if asked["prompts"] == "fresh" else "0"
    words = itertools.cycle(WORDS[number % len(WORDS) :] + WORDS[: number % len(WORDS)])
    text = f"Task {number} for ticket {token}:"
    while len(text) < asked["user_bytes"]:
        text += " " + next(words)
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    told = {"model": asked["model"], "messages": messages, "stream": asked["streamed"]}
    return json.dumps(told).encode()


async def one(
    session: aiohttp.ClientSession, asked: dict[str, Any], number: int, to: Tally
) -> None:
    url = f"{asked['root']}/v1/chat/completions"
    data = body(asked, number)
    started = time.perf_counter()
    first = None
    seen = b""
    async with session.post(url, data=data) as reply:
        async for piece in reply.content.iter_any():
            seen += piece
            if first is None and b'"content"' in seen:
                first = time.perf_counter()
        good = reply.status == 200 and (
            b"[DONE]" in seen if asked["streamed"] else b"slugify" in seen
        )
    ended = time.perf_counter()
    to.errors += not good
    to.whole.append(ended - started)
    to.first.append((first or ended) - started)


async def run(asked: dict[str, Any]) -> dict[str, float]:
    headers = {"Content-Type": "application/json", "Authorization": "Bearer none"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        for number in range(WARM_UP):
            await one(session, asked, number, Tally())
        tally = Tally()
        numbers = iter(range(WARM_UP, WARM_UP + asked["requests"]))
        started = time.perf_counter()
        until = started + asked["seconds"]

        async def worker() -> None:
            while time.perf_counter() < until and (number := next(numbers, None)) is not None:
                await one(session, asked, number, tally)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(asked["concurrency"]):
                tasks.create_task(worker())
        spent = time.perf_counter() - started
    return _figures(tally, spent)


def _figures(tally: Tally, spent: float) -> dict[str, float]:
    whole, first = sorted(tally.whole), sorted(tally.first)
    return {
        "rate": len(whole) / spent,
        "p50": 1000 * whole[len(whole) // 2],
        "p99": 1000 * whole[min(len(whole) - 1, int(len(whole) * 0.99))],
        "first": 1000 * first[len(first) // 2],
        "requests": len(whole),
        "errors": tally.errors,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))))
