"""What replicas share beside the audit: the user's records, the decisions on them, feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite counts up by itself in this type alone."""


def upgrade() -> None:
    op.create_table(
        "bluecode_records",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("by", sa.String(80), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )
    op.create_table(
        "bluecode_decisions",
        sa.Column("revision", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(80), nullable=False, index=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("approved", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("by", sa.String(80), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )
    op.create_table(
        "bluecode_feedback",
        sa.Column("request_id", sa.String(40), primary_key=True),
        sa.Column("said", sa.String(20), primary_key=True),
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("by", sa.String(80), primary_key=True),
        sa.Column("at", sa.String(40), nullable=False, index=True),
    )


def downgrade() -> None:
    for name in ("bluecode_feedback", "bluecode_decisions", "bluecode_records"):
        op.drop_table(name)
