"""What answers at the shared store's address and is none: nobody waits for it or falls with it."""

from contextlib import suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from bluecode.defenses.policy import Policy
from bluecode.proxy.limits import Limits
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.shared import Shared


@pytest.mark.parametrize(
    "said", [b":many\r\n", b"$many\r\n", b"*1\r\n" * 5_000, b"HTTP/1.1 400\r\n"]
)
@pytest.mark.parametrize("begins_well", [True, False])
async def test_what_is_no_store_ends_no_process(said: bytes, begins_well: bool) -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while asked := await stream.receive():
                    fine = begins_well and b"GET" not in asked
                    await stream.send(b"+OK\r\n" * asked.count(b"*") if fine else said)

    metrics = Metrics()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            url, limits = f"redis://127.0.0.1:{port}/0", Limits(Policy.default(), metrics)
            async with Shared.open(url, b"key", limits, metrics, wait=2.0) as shared:
                with anyio.move_on_after(20 if begins_well else 0.7):
                    while not shared.up:
                        await anyio.sleep(0.01)
                assert shared.up is begins_well
                assert await shared.get("a place") is None
                assert not shared.up
            tasks.cancel_scope.cancel()
