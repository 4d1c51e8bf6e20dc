"""What readers ask of the store: up to where events are deleted, and the legs of one call."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column, as far as the events tell, and the index."""
    column = sa.Column("forgotten", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("journal_state", column)
    # In a database that has deleted some the oldest left is not the first there was.
    op.execute(
        "UPDATE journal_state SET forgotten = (SELECT COALESCE(MIN(sequence), 1) - 1 FROM events)"
    )
    op.create_index("cdrs_of_interaction", "cdrs", ["account_id", "interaction_id"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("cdrs_of_interaction", "cdrs")
    op.drop_column("journal_state", "forgotten")
