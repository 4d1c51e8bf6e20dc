"""How far the events tell of calls that are over, so that a start looks only at the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table with its one row."""
    made = op.create_table(
        "journal_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.bulk_insert(made, [{"id": 1, "settled": 0, "at": 0.0}])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("journal_state")
