"""Idempotency keys of quickcalls and the answers they got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["at"])
    op.create_index("idempotency_keys_of_account", "idempotency_keys", ["account_id", "at"])


def downgrade() -> None:
    """Drop the table: requests sent again are then placed again."""
    op.drop_table("idempotency_keys")
