"""The models of all upstreams in one list, in the form that the client's protocol has for it.

A provider's own entries are passed on where they have that form. A provider that does not tell its
models in time has those that the settings name.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import anyio

from bluecode.proxy.config import UpstreamConfig
from bluecode.proxy.upstream import Call, Upstream, UpstreamError

Listed = dict[str, Mapping[str, Any]]
"""Entries by the model's name; empty where it is known by its name alone."""
_SECONDS: Final = 5.0
_BYTES: Final = 8 * 1024**2
_MOST: Final = 10_000


async def listed(ways: Sequence[tuple[UpstreamConfig, Upstream, Call]], call: Call) -> Any:
    """Asks all of them at once, each by a call of its own; what `call`, which asked for the list,
    gets."""
    told: list[Listed] = [{} for _ in ways]

    async def ask(at: int) -> None:
        one, upstream, own = ways[at]
        told[at] = dict(_named(one, await _asked(upstream, own)))

    async with anyio.create_task_group() as tasks:
        for at in range(len(ways)):
            tasks.start_soon(ask, at)
    merged: Listed = {}
    for found in told:
        for name, entry in found.items():
            merged.setdefault(name, entry)
    return _in_form(merged, call)


def names(one: UpstreamConfig, found: Sequence[str]) -> list[str]:
    """What clients may call a provider's models: those it has that the settings let through, those
    that the settings name, and aliases."""
    fits = (name for name in found if any(fnmatchcase(name, each) for each in one.models))
    plain = (name for name in one.models if not set(name) & set("*?["))
    return list(dict.fromkeys([*plain, *fits, *one.aliases]))


def _named(one: UpstreamConfig, found: Listed) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in names(one, list(found)):
        yield name, found.get(name, {})
    if one.by_litellm and one.models == ("*",):
        yield one.upstream, found.get(one.upstream, {})


async def _asked(upstream: Upstream, call: Call) -> Listed:
    """The models that a provider tells; none where it does not."""
    body = bytearray()
    try:
        with anyio.fail_after(_SECONDS):
            async with upstream.send(call) as reply:
                while data := await reply.chunk():
                    body += data
                    if reply.status != 200 or len(body) > _BYTES:
                        return {}
        told = json.loads(body)
    except (UpstreamError, TimeoutError, ValueError, RecursionError):
        return {}
    return dict(entries_of(told))


def entries_of(told: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a list of models, in any protocol's form, by the model's name."""
    rows = told.get("data", told.get("models")) if isinstance(told, dict) else told
    for row in rows[:_MOST] if isinstance(rows, list) else ():
        name = row.get("id", row.get("name")) if isinstance(row, dict) else None
        if isinstance(name, str):
            yield name.removeprefix("models/"), row


def _in_form(merged: Listed, call: Call) -> dict[str, Any]:
    headers = {name.lower() for name, _ in call.headers}
    if call.path == "/api/tags":
        return {"models": [{"name": n, "model": n, **_like(e, "model")} for n, e in merged.items()]}
    if "x-goog-api-key" in headers or "key=" in call.query:
        rows = [
            {"name": f"models/{name}", **_like(entry, "supportedGenerationMethods")}
            for name, entry in merged.items()
        ]
        return {"models": rows}
    if "anthropic-version" in headers:
        rows = [
            {"type": "model", "id": name, "display_name": name, **_like(entry, "display_name")}
            for name, entry in merged.items()
        ]
        ends = {"first_id": next(iter(merged), None), "last_id": next(reversed(merged), None)}
        return {"data": rows, "has_more": False, **ends}
    rows = [
        {"id": n, "object": "model", "created": 0, "owned_by": "bluecode", **_like(e, "object")}
        for n, e in merged.items()
    ]
    return {"object": "list", "data": rows}


def _like(entry: Mapping[str, Any], sign: str) -> Mapping[str, Any]:
    """An entry that has the form which this member tells; nothing of one in another form."""
    return entry if sign in entry else {}
