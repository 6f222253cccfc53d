"""Where the user's own records and feedback are: each in a file, or both in the database that
replicas share.
"""

from typing import TYPE_CHECKING

from bluecode.defenses.tables import SqliteFile, Tables
from bluecode.proxy.config import Config, Secret
from bluecode.proxy.feedback import FeedbackStore

if TYPE_CHECKING:
    from bluecode.defenses.knowledge import Case
    from bluecode.defenses.record_store import RecordStore


def records(config: Config, *, create: bool = False) -> "RecordStore":
    """Raises `StoreError` where there is none, unless one is to be made."""
    # numpy comes with it; a service that keeps feedback alone needs neither.
    from bluecode.defenses.record_store import RecordStore

    if config.database is None:
        return RecordStore.at(config.knowledge, create=create)
    return RecordStore(_database(config.database), seal=config.seal)


def has_records(config: Config) -> bool:
    """May there be records? Looks at no database."""
    return config.database is not None or config.knowledge.exists()


def enforced(config: Config) -> "list[Case]":
    """The records in force. Raises `StoreError`."""
    return records(config).enforced() if has_records(config) else []


def records_place(config: Config) -> str:
    """Where records are, for people."""
    return "the database" if config.database is not None else str(config.knowledge)


def feedback(config: Config) -> FeedbackStore:
    """Opens nothing yet."""
    if config.database is None:
        return FeedbackStore(SqliteFile(config.feedback))
    return FeedbackStore(_database(config.database))


def _database(address: Secret) -> Tables:
    from bluecode.proxy.database import Database  # its libraries are an extra

    return Database(address.get(), lasting=False)
