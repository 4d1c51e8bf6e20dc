"""How far each consumer of the outbox has got, and the id by which a spool knows its database."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables, the second with its one row."""
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    made = op.create_table("store", sa.Column("id", sa.Text, primary_key=True))
    op.bulk_insert(made, [{"id": secrets.token_hex(16)}])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("store")
    op.drop_table("cursors")
