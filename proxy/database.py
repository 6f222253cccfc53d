"""The database that replicas share: PostgreSQL, or SQLite by the same code.

Its tables are made, and brought to this version, where it is first used; replicas that start
together take turns. No message quotes its address or what is in it.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final

import pg8000.dbapi
import pg8000.exceptions
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as Migration
from alembic.util import CommandError

from bluecode.defenses.tables import Row, Rows, TablesError

PREFIX: Final = "bluecode_"
"""What the name of each table begins with."""
BROKEN: Final = (
    sa.exc.SQLAlchemyError,
    pg8000.exceptions.Error,
    OSError,
    CommandError,
    struct.error,
    ArithmeticError,
    LookupError,
    ValueError,
)
"""How it shows that the database cannot be used: it is away, a newer version of BlueCode made its
tables, or what answers there is no database, which the drivers' arithmetic stumbles on."""
_PATIENCE: Final = 5
"""Seconds that the database may be silent."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Alembic knows one migration a process."""


def engine_of(url: str, *, lasting: bool = True) -> sa.Engine:
    """Connections to an address such as `postgresql://user:password@host/name` or
    `sqlite:///file`; none is made yet.

    `?sslmode=verify-full` asks PostgreSQL for TLS and its certificate, `?sslmode=disable` for
    neither; without it there is TLS where the server has it. Connections are kept open between
    transactions if they are `lasting`.
    """
    address = sa.make_url(url)
    pool = None if lasting else sa.NullPool
    if address.get_backend_name() != "postgresql":
        return sa.create_engine(address, poolclass=pool)
    made, kept = partial(_connect, address), {"pool_size": 2, "pool_pre_ping": True}
    return sa.create_engine(
        "postgresql+pg8000://", creator=made, poolclass=pool, **(kept if lasting else {})
    )


def _connect(address: sa.URL) -> Any:
    host, port = address.host or "localhost", address.port or 5432
    # Its own socket pg8000 would leave open where the server does not want us yet.
    with ExitStack() as stack:
        opened = stack.enter_context(socket.create_connection((host, port), _PATIENCE))
        connection = pg8000.dbapi.connect(
            address.username or "bluecode",
            host=host,
            database=address.database,
            password=address.password,
            ssl_context=_TLS[str(address.query.get("sslmode", "prefer"))](),
            application_name="bluecode",
            sock=opened,
        )
        stack.pop_all()
    return connection


_TLS: Final[Mapping[str, Callable[[], Any]]] = {
    "prefer": lambda: None,
    "verify-full": ssl.create_default_context,
    "disable": lambda: False,
}
"""What pg8000 is told for each `sslmode`."""


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version; nothing where they are."""
    migration = Migration()
    migration.set_main_option("script_location", "bluecode.proxy:migrations")
    migration.set_main_option("path_separator", "os")
    with _ONE_AT_A_TIME, engine.begin() as connection:
        migration.attributes["connection"] = connection
        command.upgrade(migration, "head")


def kind_of(error: Exception) -> str:
    """What went wrong, less the address and the rows that it may quote."""
    return type(getattr(error, "orig", None) or error).__name__


class Database:
    """Tables for what replicas share; see `bluecode.defenses.tables.Tables`."""

    place = "the database"
    prefix = PREFIX

    def __init__(self, url: str, *, lasting: bool = True) -> None:
        self._engine = engine_of(url, lasting=lasting)
        self._migrated = False

    def prepare(self, schema: str) -> None:
        """Nothing: the migrations make them, where the database is first used."""

    @contextmanager
    def begin(self, *, writing: bool = False) -> Iterator[Rows]:
        """Raises `TablesError` also for tables of a newer version."""
        try:
            if not self._migrated:
                migrate(self._engine)
                self._migrated = True
            with self._engine.begin() as connection:
                if writing and connection.dialect.name == "postgresql":
                    connection.execute(_ONE_WRITER)
                yield _Rows(connection)
        except BROKEN as error:
            raise TablesError(f"The database cannot be used ({kind_of(error)}).") from error

    def close(self) -> None:
        """Give up the connections that are kept."""
        self._engine.dispose()


_ONE_WRITER: Final = sa.text("SELECT pg_advisory_xact_lock(1651271013)")
"""Versions and decisions are numbered in turn; who only reads does not wait. The number is one of
our own, another than that of the migrations."""


class _Rows:
    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, **values: Any) -> list[Row]:
        made = self._connection.execute(sa.text(statement), values)
        return [tuple(row) for row in made] if made.returns_rows else []
