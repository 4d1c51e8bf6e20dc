"""What a start after a crash needs: where live calls begin in the events, and delayed requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables, the first with its one row."""
    made = op.create_table(
        "journal_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("settled", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.bulk_insert(made, [{"id": 1, "settled": 0, "at": 0.0}])
    op.create_table(
        "waiting_requests",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("waiting_requests")
    op.drop_table("journal_state")
