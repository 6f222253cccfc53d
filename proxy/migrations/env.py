"""Run by Alembic, on the connection that it is given. Replicas that start together take turns."""

from alembic import context
from sqlalchemy import text

TURNS = 0x626C7565
"""A number of our own among PostgreSQL's advisory locks."""

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:turns)"), {"turns": TURNS})
    context.run_migrations()
