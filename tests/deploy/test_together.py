"""BlueCode, Redis, PostgreSQL and Prometheus as processes together, under load; what is killed
costs no request but those on its own connections, and lets nothing pass."""

from pathlib import Path

import anyio
from postgres_server import needs_postgres
from prometheus import needs_prometheus, scraping, series
from redis_server import needs_redis
from replicas import fetched
from together import CLIENTS, run, standing

SECONDS = 3.0
"""Of each phase, at least."""


@needs_redis
@needs_postgres
@needs_prometheus
async def test_what_is_killed_costs_no_request_and_lets_nothing_pass(tmp_path: Path) -> None:
    async with standing(tmp_path) as stack:
        hosts = [item.root.removeprefix("http://") for item in stack.replicas]
        killed = hosts[0]
        async with scraping(tmp_path, hosts) as root:
            load = await run(stack, SECONDS)
            shown = [(await fetched(f"{item.root}/metrics"))[1] for item in stack.replicas]
            up = await series(root, "min_over_time(bluecode_database_up[5m])")
            store = await series(root, "min_over_time(bluecode_shared_up[5m])")
            blocks = await series(root, "sum(bluecode_requests_total{decision='block'})")
            down = await series(root, f'up{{instance="{killed}"}}')
        phases = {phase.name: phase for phase in load.phases}
        # What the killed replica had not written: no more than all serve in a second.
        unwritten = max(40, phases["all there"].requests / SECONDS)
        with anyio.fail_after(30):  # lines that waited are written before long
            while len(missing := set(load.ids) - await stack.audited()) > unwritten:
                await anyio.sleep(0.5)

    assert all(phase.requests > 10 for name, phase in phases.items() if name != "start"), phases
    assert [phase.passed for phase in phases.values()] == [0] * len(phases)
    assert [phase.blocked for phase in phases.values()] == [0] * len(phases)
    # Of the killed replica only what was on its connections: one request for each client.
    assert phases.pop("a replica killed").lost <= CLIENTS
    assert [phase.lost for phase in phases.values()] == [0] * len(phases)
    for seen in (up, store):  # by Prometheus
        assert "0" in {item["value"][1] for item in seen}
    assert float(blocks[0]["value"][1]) > 0 and down[0]["value"][1] == "0"
    assert 'shared_lookups_total{result="skipped"}' in shown[0]
    assert 'result="forged"' not in "".join(shown)
    # The audit lacks what the killed replica had not written yet, and nothing else.
    assert "bluecode_audit_lost_total 0.0" in shown[0]
    assert len(missing) <= unwritten
