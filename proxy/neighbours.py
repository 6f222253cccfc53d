"""What stands beside BlueCode, tried as it will be used: the store and the database that replicas
share, the receiver of traces, the folder of captures. Their addresses may hold passwords and are
not shown.
"""

import tempfile
import time
from collections.abc import Iterator

import anyio
import anyio.to_thread

from bluecode.defenses.tables import TablesError
from bluecode.proxy.config import Config, ConfigError, Secret
from bluecode.proxy.diagnosis import Finding

SECONDS = 8.0
"""For each of them."""


async def all_of(config: Config) -> list[Finding]:
    """Those that the settings name; none where they name none."""
    found = [await _store(config.shared, config)] if config.shared is not None else []
    for name, address in (("audit_database", config.audit_database), ("database", config.database)):
        if address is not None:
            found.append(await anyio.to_thread.run_sync(_database, name, address))
    if config.traces:
        found.append(await _receiver(config.traces))
    return [*found, *_captures(config)]


async def _store(address: Secret, config: Config) -> Finding:
    if config.seal_key is None:
        return Finding("store", "failed", "`shared` needs `seal_key`, the same for all replicas")
    try:
        from bluecode.proxy.shared import StoreLost, answer_time
    except ModuleNotFoundError:
        return Finding("store", "failed", "install BlueCode with its `redis` extra")
    try:
        with anyio.fail_after(SECONDS):
            took = await answer_time(address.get())
    except StoreLost as error:
        return Finding("store", "failed", f"does not answer ({error}); replicas go on alone")
    except TimeoutError:
        return Finding("store", "failed", f"did not answer within {SECONDS:.0f} seconds")
    told = f"answers in {1000 * took:.1f} ms"
    if took > config.shared_wait:
        told += f", which is more than `shared_wait` ({1000 * config.shared_wait:.1f} ms) allows"
        return Finding("store", "note", told)
    return Finding("store", "ok", told)


def _database(name: str, address: Secret) -> Finding:
    """Reached, and its tables of this version."""
    part = name.replace("_", " ")
    try:
        from bluecode.proxy.database import Database
    except ModuleNotFoundError:
        return Finding(part, "failed", "install BlueCode with its `postgres` extra")
    database = Database(address.get(), lasting=False)
    started = time.perf_counter()
    try:
        with database.begin() as rows:
            ((version,),) = rows.execute("SELECT version_num FROM alembic_version")
            for table in ("audit", "records", "decisions", "feedback"):
                rows.execute(f"SELECT 1 FROM {database.prefix}{table} LIMIT 1")
    except TablesError as error:
        return Finding(part, "failed", str(error))
    finally:
        database.close()
    took = 1000 * (time.perf_counter() - started)
    return Finding(part, "ok", f"answers, with tables of version {version} ({took:.0f} ms)")


async def _receiver(root: str) -> Finding:
    try:
        from bluecode.proxy.tracing import takes_spans
    except ModuleNotFoundError:
        return Finding("traces", "failed", "install BlueCode with its `otel` extra")
    if await anyio.to_thread.run_sync(takes_spans, root):
        return Finding("traces", "ok", f"{root} takes spans")
    return Finding("traces", "failed", f"{root} takes no spans; requests go on without")


def _captures(config: Config) -> Iterator[Finding]:
    if config.capture is None and not config.capture_key:
        return
    try:
        from bluecode.proxy.capture_keys import Seal
    except ModuleNotFoundError:
        yield Finding("captures", "failed", "install BlueCode with its `capture` extra")
        return
    try:
        if config.capture is None or not config.capture_key:
            raise ConfigError("`capture` and `capture_key` belong together; set both.")
        name = Seal(config.capture_key).name
        config.capture.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=config.capture):
            told = f"sealed for key {name}, to {config.capture}, for {config.capture_days} days"
        yield Finding("captures", "ok", told)
    except ConfigError as error:
        yield Finding("captures", "failed", str(error))
    except OSError as error:
        yield Finding("captures", "failed", f"{config.capture}: {error.strerror}")
