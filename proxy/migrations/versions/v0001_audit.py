"""The audit: one row a request, with the line as it would stand in a file."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bluecode_audit",
        sa.Column("request_id", sa.String(40), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("key_name", sa.String(64), index=True),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("decision", sa.String(20), nullable=False, index=True),
        sa.Column("scope", sa.String(40), nullable=False),
        sa.Column("policy", sa.String(20), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("bluecode_audit")
